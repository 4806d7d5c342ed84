# A Zynq-7000 with the accelerator @module@ and its DMAs, as a block design of the project that is open in Vivado.
# In the Tcl console of a project for your board: source @module@_zynq.tcl

set folder [file dirname [file normalize [info script]]]
add_files -norecurse [file join $folder @module@.v]
update_compile_order -fileset sources_1
create_bd_design system

# The processor: one port to registers, one from DMAs to memory, interrupts from the fabric.
create_bd_cell -type ip -vlnv xilinx.com:ip:processing_system7:* ps
apply_bd_automation -rule xilinx.com:bd_rule:processing_system7 \
    -config {make_external "FIXED_IO, DDR" apply_board_preset "1" Master "Disable" Slave "Disable"} [get_bd_cells ps]
set_property -dict {
    CONFIG.PCW_USE_M_AXI_GP0 1
    CONFIG.PCW_USE_S_AXI_HP0 1
    CONFIG.PCW_USE_FABRIC_INTERRUPT 1
    CONFIG.PCW_IRQ_F2P_INTR 1
} [get_bd_cells ps]

# The accelerator, whose interfaces follow from its ports' names and attributes.
create_bd_cell -type module -reference @module@ core

# DMAs in direct register mode: one for load packets, one for input and output.
foreach {dma to_memory} {dma_load 0 dma_data 1} {
    create_bd_cell -type ip -vlnv xilinx.com:ip:axi_dma:* $dma
    set_property -dict [list \
        CONFIG.c_include_sg 0 \
        CONFIG.c_sg_include_stscntrl_strm 0 \
        CONFIG.c_sg_length_width 26 \
        CONFIG.c_include_mm2s 1 \
        CONFIG.c_m_axi_mm2s_data_width 32 \
        CONFIG.c_m_axis_mm2s_tdata_width 32 \
        CONFIG.c_include_s2mm $to_memory \
    ] [get_bd_cells $dma]
}
set_property -dict {
    CONFIG.c_m_axi_s2mm_data_width 32
    CONFIG.c_s_axis_s2mm_tdata_width 32
} [get_bd_cells dma_data]

# Clock and resets: the accelerator's is active high, all others are active low.
create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:* reset
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:* to_registers
create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:* to_memory
set_property -dict {CONFIG.NUM_SI 1 CONFIG.NUM_MI 3} [get_bd_cells to_registers]
set_property -dict {CONFIG.NUM_SI 3 CONFIG.NUM_MI 1} [get_bd_cells to_memory]
foreach pin {
    ps/M_AXI_GP0_ACLK ps/S_AXI_HP0_ACLK reset/slowest_sync_clk to_registers/aclk to_memory/aclk core/clk
    dma_load/s_axi_lite_aclk dma_load/m_axi_mm2s_aclk
    dma_data/s_axi_lite_aclk dma_data/m_axi_mm2s_aclk dma_data/m_axi_s2mm_aclk
} { connect_bd_net [get_bd_pins ps/FCLK_CLK0] [get_bd_pins $pin] }
connect_bd_net [get_bd_pins ps/FCLK_RESET0_N] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins core/rst]
foreach pin {to_registers/aresetn to_memory/aresetn dma_load/axi_resetn dma_data/axi_resetn} {
    connect_bd_net [get_bd_pins reset/peripheral_aresetn] [get_bd_pins $pin]
}

# Streams, registers and memory.
foreach {from to} {
    dma_load/M_AXIS_MM2S core/s_axis_load
    dma_data/M_AXIS_MM2S core/s_axis_in
    core/m_axis_out dma_data/S_AXIS_S2MM
    ps/M_AXI_GP0 to_registers/S00_AXI
    to_registers/M00_AXI core/s_axil
    to_registers/M01_AXI dma_load/S_AXI_LITE
    to_registers/M02_AXI dma_data/S_AXI_LITE
    dma_load/M_AXI_MM2S to_memory/S00_AXI
    dma_data/M_AXI_MM2S to_memory/S01_AXI
    dma_data/M_AXI_S2MM to_memory/S02_AXI
    to_memory/M00_AXI ps/S_AXI_HP0
} { connect_bd_intf_net [get_bd_intf_pins $from] [get_bd_intf_pins $to] }

# Interrupts, from 0 on: the accelerator's, that of load packets, of input, of output.
create_bd_cell -type ip -vlnv xilinx.com:ip:xlconcat:* interrupts
set_property CONFIG.NUM_PORTS 4 [get_bd_cells interrupts]
foreach {from to} {core/irq In0 dma_load/mm2s_introut In1 dma_data/mm2s_introut In2 dma_data/s2mm_introut In3} {
    connect_bd_net [get_bd_pins $from] [get_bd_pins interrupts/$to]
}
connect_bd_net [get_bd_pins interrupts/dout] [get_bd_pins ps/IRQ_F2P]

assign_bd_address
validate_bd_design
save_bd_design
foreach segment [get_bd_addr_segs ps/Data/*] { puts "[get_property NAME $segment]: [get_property OFFSET $segment]" }
