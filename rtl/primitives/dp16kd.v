// A block memory of ECP5 with one clock, as Lattice FPGA-TN-02204 describes it: 1,024 words of 18 bits, read and written through two
// ports of 1, 2, 4, 9 or 18 bits. yosys has its ports alone, without a model. Written from the user guide, not compared with hardware.
//
// The lowest address bits are not in use where a port is wide; in the widest shape the lowest two enable the bytes of a write. A write
// leaves its port's output as it is (WRITEMODE "NORMAL"). What a port reads while the other one writes the same word is not modelled. Words are random
// at first.

module DP16KD(
  input DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0,
  input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
  input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  output DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0,
  input DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0,
  input ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0,
  input CEB, OCEB, CLKB, WEB, RSTB, CSB2, CSB1, CSB0,
  output DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0
);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";

  wire [17:0] da = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3, DIA2, DIA1, DIA0};
  wire [17:0] db = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4, DIB3, DIB2, DIB1, DIB0};
  wire [13:0] aa = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [13:0] ab = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  reg [17:0] words [0:1023];
  reg [17:0] latch_a, latch_b, register_a, register_b;
  integer word;
`ifndef SYNTHESIS
  initial for (word = 0; word < 1024; word = word + 1) words[word] = $urandom;
`endif

  // Place of a port's lowest bit in its word: two bytes of 9 bits, and in a byte the narrower items from bit 0 on.
  function [4:0] place(input integer width, input [13:0] address);
    place = width == 18 ? 0 : (address[3] ? 9 : 0) + (width == 9 ? 0 : address[2:0] & ~(width - 1));
  endfunction

  // The bits that a write changes, before they are moved to their place.
  function [17:0] written(input integer width, input [13:0] address);
    written = width == 18 ? {{9{address[1]}}, {9{address[0]}}} : (1 << width) - 1;
  endfunction

  wire [17:0] mask_a = written(DATA_WIDTH_A, aa) << place(DATA_WIDTH_A, aa);
  wire [17:0] mask_b = written(DATA_WIDTH_B, ab) << place(DATA_WIDTH_B, ab);

  always @(posedge CLKA) begin
    if (CEA && !CSA2 && !CSA1 && !CSA0) begin
      if (WEA) words[aa[13:4]] <= (words[aa[13:4]] & ~mask_a) | ((da << place(DATA_WIDTH_A, aa)) & mask_a);
      else latch_a <= (words[aa[13:4]] >> place(DATA_WIDTH_A, aa)) & ((1 << DATA_WIDTH_A) - 1);
    end
    if (OCEA) register_a <= latch_a;
    if (RSTA) begin
      latch_a <= 0;
      register_a <= 0;
    end
  end

  always @(posedge CLKB) begin
    if (CEB && !CSB2 && !CSB1 && !CSB0) begin
      if (WEB) words[ab[13:4]] <= (words[ab[13:4]] & ~mask_b) | ((db << place(DATA_WIDTH_B, ab)) & mask_b);
      else latch_b <= (words[ab[13:4]] >> place(DATA_WIDTH_B, ab)) & ((1 << DATA_WIDTH_B) - 1);
    end
    if (OCEB) register_b <= latch_b;
    if (RSTB) begin
      latch_b <= 0;
      register_b <= 0;
    end
  end

  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2, DOA1, DOA0} =
    REGMODE_A == "OUTREG" ? register_a : latch_a;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2, DOB1, DOB0} =
    REGMODE_B == "OUTREG" ? register_b : latch_b;
endmodule
