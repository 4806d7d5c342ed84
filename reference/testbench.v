// A testbench of @module@: it loads one small layer, starts it through the registers, sends an input, and compares the output.
// It prints PASS, or FAIL and why. The words are in load.hex, input.hex and output.hex: a first digit 1 is TLAST.

module @module@_tb;
  localparam LOAD_WORDS = @load_words@, INPUT_WORDS = @input_words@, OUTPUT_WORDS = @output_words@;
  localparam [11:0] CONTROL = 12'h@control@, STATUS = 12'h@status@, ERROR = 12'h@error@, PROGRAM = 12'h@program@;
  localparam START = 1, BUSY = 0, DONE = 1, FAILED = 2;  // the value of CONTROL; bits of STATUS
  localparam LIMIT = 1000000;  // cycles

@signals@
  @module@ accelerator (
@connections@
  );

  reg [35:0] load [0:LOAD_WORDS-1];
  reg [35:0] sent [0:INPUT_WORDS-1];
  reg [35:0] expected [0:OUTPUT_WORDS-1];
  reg [31:0] value;
  reg taken;
  integer n, received, wrong;

  always #5 clk = ~clk;

  // Everything changes at a falling edge, and is looked at one unit of time later: as it is then, the rising edge will find it.
  task write_register(input [11:0] address, input [31:0] data);
    begin
      s_axil_awaddr = address;
      s_axil_wdata = data;
      s_axil_wstrb = 4'b1111;
      s_axil_awvalid = 1;
      s_axil_wvalid = 1;
      taken = 0;
      while (!taken) begin
        #1 taken = s_axil_awready && s_axil_wready;
        @(negedge clk);
      end
      s_axil_awvalid = 0;
      s_axil_wvalid = 0;
      s_axil_bready = 1;
      taken = 0;
      while (!taken) begin
        #1 taken = s_axil_bvalid;
        if (taken && s_axil_bresp != 0) fail("a write was answered with SLVERR");
        @(negedge clk);
      end
      s_axil_bready = 0;
    end
  endtask

  task read_register(input [11:0] address);
    begin
      s_axil_araddr = address;
      s_axil_arvalid = 1;
      taken = 0;
      while (!taken) begin
        #1 taken = s_axil_arready;
        @(negedge clk);
      end
      s_axil_arvalid = 0;
      s_axil_rready = 1;
      taken = 0;
      while (!taken) begin
        #1 taken = s_axil_rvalid;
        value = s_axil_rdata;
        if (taken && s_axil_rresp != 0) fail("a read was answered with SLVERR");
        @(negedge clk);
      end
      s_axil_rready = 0;
    end
  endtask

  task fail(input [8*40-1:0] why);
    begin
      $display("FAIL: %0s", why);
      $finish;
    end
  endtask

  initial begin
    $readmemh("load.hex", load);
    $readmemh("input.hex", sent);
    $readmemh("output.hex", expected);
    m_axis_out_tready = 1;
    rst = 1;
    repeat (4) @(negedge clk);
    rst = 0;

    for (n = 0; n < LOAD_WORDS; n = n + 1) begin
      {s_axis_load_tlast, s_axis_load_tdata} = load[n][32:0];
      s_axis_load_tvalid = 1;
      taken = 0;
      while (!taken) begin
        #1 taken = s_axis_load_tready;
        @(negedge clk);
      end
    end
    s_axis_load_tvalid = 0;
    read_register(STATUS);
    if (value[FAILED]) fail("a load packet was refused");

    write_register(PROGRAM, 0);
    write_register(CONTROL, START);

    for (n = 0; n < INPUT_WORDS; n = n + 1) begin
      {s_axis_in_tlast, s_axis_in_tdata} = sent[n][32:0];
      s_axis_in_tvalid = 1;
      taken = 0;
      while (!taken) begin
        #1 taken = s_axis_in_tready;
        @(negedge clk);
      end
    end
    s_axis_in_tvalid = 0;

    read_register(STATUS);
    while (value[BUSY]) read_register(STATUS);
    if (value[FAILED]) begin
      read_register(ERROR);
      $display("FAIL: error %0d", value[7:0]);
    end else if (!value[DONE] || received != OUTPUT_WORDS || wrong != 0)
      $display("FAIL: %0d words of %0d came, %0d of them wrong", received, OUTPUT_WORDS, wrong);
    else $display("PASS: %0d words, as they should be", received);
    $finish;
  end

  initial begin
    received = 0;
    wrong = 0;
    forever begin
      @(negedge clk);
      #1;
      if (m_axis_out_tvalid && m_axis_out_tready) begin
        if (received >= OUTPUT_WORDS) wrong = wrong + 1;
        else if ({3'b000, m_axis_out_tlast, m_axis_out_tdata} !== expected[received] || m_axis_out_tuser) wrong = wrong + 1;
        received = received + 1;
      end
    end
  end

  initial begin
    repeat (LIMIT) @(negedge clk);
    fail("the run does not end");
  end
endmodule
