// SB_MAC16 as a 16 x 16 multiplier of signed factors, with registers for factors and product, under a 32-bit accumulator, as Lattice's
// FPGA-TN-02007 (DSP usage guide) describes it. Other modes, and ports that only these have, are left out.
module SB_MAC16 #(
    parameter A_REG = 0, B_REG = 0, A_SIGNED = 0, B_SIGNED = 0, MODE_8x8 = 0, PIPELINE_16x16_MULT_REG2 = 0,
    parameter TOPOUTPUT_SELECT = 0, TOPADDSUB_LOWERINPUT = 0, TOPADDSUB_CARRYSELECT = 0,
    parameter BOTOUTPUT_SELECT = 0, BOTADDSUB_LOWERINPUT = 0
) (
    input CLK, CE,
    input [15:0] A, B, C, D,
    input AHOLD, BHOLD, CHOLD, DHOLD, IRSTTOP, IRSTBOT, ORSTTOP, ORSTBOT,
    input OLOADTOP, OLOADBOT, ADDSUBTOP, ADDSUBBOT, OHOLDTOP, OHOLDBOT, CI, ACCUMCI, SIGNEXTIN,
    output [31:0] O
);
    reg signed [15:0] a, b;
    reg signed [31:0] product;
    reg [31:0] sum;
    wire [31:0] next = sum + product;
    always @(posedge CLK)
        if (CE) begin
            a <= A;
            b <= B;
            product <= a * b;
            if (!OHOLDTOP) sum[31:16] <= OLOADTOP ? C : next[31:16];
            if (!OHOLDBOT) sum[15:0] <= OLOADBOT ? D : next[15:0];
        end
    assign O = sum;
endmodule
