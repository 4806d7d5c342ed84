// An accelerator that sends back each input packet, word by word, and breaks one rule of its ports on demand: the number is chaos.h's.
#pragma once
#include "verilated.h"
#include <cstdint>

inline int broken_rule = 0;
extern "C" void break_rule(int rule) { broken_rule = rule; }

struct Vskipgrid {
    uint8_t clk = 0, rst = 0, busy = 0, error = 0, irq = 0;
    uint32_t s_axil_awaddr = 0, s_axil_wdata = 0, s_axil_araddr = 0, s_axil_rdata = 0;
    uint8_t s_axil_awvalid = 0, s_axil_awready = 0, s_axil_wstrb = 0, s_axil_wvalid = 0, s_axil_wready = 0, s_axil_bresp = 0, s_axil_bvalid = 0;
    uint8_t s_axil_bready = 0, s_axil_arvalid = 0, s_axil_arready = 0, s_axil_rresp = 0, s_axil_rvalid = 0, s_axil_rready = 0;
    uint32_t s_axis_load_tdata = 0, s_axis_in_tdata = 0, m_axis_out_tdata = 0;
    uint8_t s_axis_load_tlast = 0, s_axis_load_tvalid = 0, s_axis_load_tready = 0, s_axis_in_tlast = 0, s_axis_in_tvalid = 0;
    uint8_t s_axis_in_tready = 0, m_axis_out_tlast = 0, m_axis_out_tvalid = 0, m_axis_out_tready = 0, m_axis_out_tuser = 0;

    explicit Vskipgrid(VerilatedContext*) {}
    void final() {}

    void eval() {
        if (clk && !before_) edge();
        before_ = clk;
        const bool write = s_axil_awvalid && s_axil_wvalid && !s_axil_bvalid;
        s_axil_awready = s_axil_wready = write;
        s_axil_arready = !s_axil_rvalid;
        s_axis_load_tready = !busy || breaks(11);
        s_axis_in_tready = busy ? !ends_ && (!m_axis_out_tvalid || m_axis_out_tready) : breaks(9);
    }

  private:
    static bool breaks(int rule) { return broken_rule == rule; }

    void edge() {
        const bool takes = s_axis_in_tvalid && s_axis_in_tready, sends = m_axis_out_tvalid && m_axis_out_tready;
        const bool written = s_axil_awready, asked = s_axil_arvalid && s_axil_arready;
        if (sends && !breaks(2)) m_axis_out_tvalid = breaks(5) && ends_;
        if (sends && ends_ && !breaks(1) && !breaks(2)) {
            busy = ends_ = 0;
            irq = !breaks(12);
        }
        if (m_axis_out_tvalid && !m_axis_out_tready && breaks(4)) ++m_axis_out_tdata;
        if (takes && busy) {
            m_axis_out_tvalid = 1;
            m_axis_out_tdata = s_axis_in_tdata;
            ends_ = s_axis_in_tlast || breaks(10);
            m_axis_out_tlast = ends_ && !breaks(8);
            m_axis_out_tuser = breaks(ends_ ? 7 : 6);
        }
        if (s_axil_bready || breaks(13)) s_axil_bvalid = 0;
        if (written || (breaks(14) && s_axil_awvalid)) {
            s_axil_bvalid = 1;
            s_axil_bresp = breaks(15) ? 2 : 0;
        }
        if (written && s_axil_wdata & 1) {
            busy = 1;
            irq = 0;
        }
        if (s_axil_rready || breaks(13)) s_axil_rvalid = 0;
        if (asked) {
            s_axil_rvalid = 1;
            s_axil_rdata = busy_before_ ^ breaks(16);
        }
        busy_before_ = busy;
        if (rst) {
            s_axil_bvalid = s_axil_rvalid = m_axis_out_tvalid = irq = 0;
            ends_ = busy_before_ = false;
            busy = busy && breaks(17);
        }
    }

    bool before_ = false, ends_ = false, busy_before_ = false;
};
