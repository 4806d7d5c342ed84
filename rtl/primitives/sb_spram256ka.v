// SB_SPRAM256KA, 16,384 words of 16 bits, as Lattice's FPGA-TN-02022 (SPRAM usage guide) describes it, without its low-power modes.
// Its words are random at first.
module SB_SPRAM256KA (
    input [13:0] ADDRESS,
    input [15:0] DATAIN,
    input [3:0] MASKWREN,
    input WREN, CHIPSELECT, CLOCK, STANDBY, SLEEP, POWEROFF,
    output reg [15:0] DATAOUT
);
    reg [15:0] words [0:16383];
    wire [15:0] mask = {{4{MASKWREN[3]}}, {4{MASKWREN[2]}}, {4{MASKWREN[1]}}, {4{MASKWREN[0]}}};
    integer address;
`ifndef SYNTHESIS
    initial for (address = 0; address < 16384; address = address + 1) words[address] = $urandom;
`endif
    always @(posedge CLOCK)
        if (CHIPSELECT)
            if (WREN) words[ADDRESS] <= (DATAIN & mask) | (words[ADDRESS] & ~mask);
            else DATAOUT <= words[ADDRESS];
endmodule
