// Runs in which all that stands around the accelerator pauses, stops it or resets it at random, while the rules of its ports are checked.
#pragma once
#include "accelerator.h"

struct Gate {  // a port closes, and opens again, with these chances of 65,536 in each cycle
    uint32_t closes, opens;
};

struct Access {  // of a register, which disturbs no run; strobes are 0 for a read, whose value under the mask is known
    uint32_t address, strobes, data, response, mask, value;
};

struct Chaos {
    uint64_t seed;
    Gate load, in, out, bus;
    uint64_t stop_at, reset_at;  // cycles from the call on; all ones for never
    uint64_t reset_cycles, idle_limit;
    uint32_t control, start, stop;  // the register's address, and what is written to it
    uint32_t status, busy_bit, error_bit;
    const Access* accesses;
    uint64_t access_count;
};

enum Ended : int {  // as benches/fuzz/chaos.py names them
    WELL,
    HUNG,
    TOO_MANY_WORDS,
    RESET,
    OUTPUT_CHANGED,
    OUTPUT_OUTSIDE,
    USER_INSIDE,
    USER_WITHOUT_ERROR,
    OUTPUT_OPEN,
    INPUT_OUTSIDE,
    INPUT_OPEN,
    LOAD_INSIDE,
    IRQ_WRONG,
    ANSWER_CHANGED,
    ANSWER_UNASKED,
    ANSWER_WRONG,
    STATUS_WRONG,
    RESET_WITHOUT_EFFECT,
};

struct Sink {
    uint32_t* words;
    uint8_t* flags;
    uint64_t capacity, count = 0;
};

class Random {  // splitmix64
  public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint32_t next() {
        uint64_t z = state_ += 0x9E3779B97F4A7C15;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
        z = (z ^ z >> 27) * 0x94D049BB133111EB;
        return (z ^ z >> 31) >> 32;
    }
    uint32_t below(uint64_t count) { return next() * count >> 32; }
    bool chance(uint32_t of_65536) { return next() >> 16 < of_65536; }

  private:
    uint64_t state_;
};

class Port {  // whether something that pauses at random is willing in this cycle
  public:
    explicit Port(Gate gate) : gate_(gate) {}
    bool open(Random& random) {
        if (gate_.closes) open_ = random.chance(open_ ? 65536 - gate_.closes : gate_.opens);
        return open_;
    }

  private:
    Gate gate_;
    bool open_ = true;
};

// The register port: random accesses, and the writes that are commanded; address and data come in any order, answers wait to be taken.
class Bus {
  public:
    Bus(Vskipgrid& top, Random& random, const Chaos& chaos) : top_(top), random_(random), chaos_(chaos), port_(chaos.bus) {}

    void start() { starts_ = true; }
    void stop() { stops_ = true; }
    bool idle() const { return !reading_ && !writing_ && !starts_ && !stops_; }

    void drive(bool may_begin) {
        const bool open = port_.open(random_);
        if ((starts_ || stops_) && !writing_) {
            begin_write({chaos_.control, 15, starts_ ? chaos_.start : chaos_.stop, 0, 0, 0});
            (starts_ ? starts_ : stops_) = false;
        } else if (may_begin && open && chaos_.bus.closes && random_.chance(4096)) {
            const Access& access = chaos_.accesses[random_.below(chaos_.access_count)];
            if (access.strobes && !writing_) begin_write(access);
            if (!access.strobes && !reading_) begin_read(access);
        }
        if (address_left_ && !top_.s_axil_awvalid) top_.s_axil_awvalid = open;
        if (data_left_ && !top_.s_axil_wvalid) top_.s_axil_wvalid = !chaos_.bus.closes || random_.chance(32768);
        top_.s_axil_arvalid = asking_;
        top_.s_axil_bready = open;
        top_.s_axil_rready = open;
    }

    // What moves in this cycle, before its edge.
    Ended observe() {
        if (top_.s_axil_bvalid && (!writing_ || address_left_ || data_left_)) return ANSWER_UNASKED;
        if (top_.s_axil_rvalid && (!reading_ || asking_)) return ANSWER_UNASKED;
        if (written_waits_ && (!top_.s_axil_bvalid || top_.s_axil_bresp != response_)) return ANSWER_CHANGED;
        if (read_waits_ && (!top_.s_axil_rvalid || top_.s_axil_rdata != data_ || top_.s_axil_rresp != response_read_)) return ANSWER_CHANGED;
        status_steady_ &= top_.busy == busy_ && top_.error == error_;
        if (top_.s_axil_rvalid && !read_waits_) {
            if (top_.s_axil_rresp != read_.response || (top_.s_axil_rdata & read_.mask) != read_.value) return ANSWER_WRONG;
            const bool busy = top_.s_axil_rdata & chaos_.busy_bit, error = top_.s_axil_rdata & chaos_.error_bit;
            if (read_.address == chaos_.status && status_steady_ && (busy != busy_ || error != error_)) return STATUS_WRONG;
        }
        if (top_.s_axil_bvalid && !written_waits_ && top_.s_axil_bresp != write_.response) return ANSWER_WRONG;
        if (asking_ && top_.s_axil_arready) {
            busy_ = top_.busy;
            error_ = top_.error;
            status_steady_ = true;
        }
        written_waits_ = top_.s_axil_bvalid && !top_.s_axil_bready;
        read_waits_ = top_.s_axil_rvalid && !top_.s_axil_rready;
        response_ = top_.s_axil_bresp;
        response_read_ = top_.s_axil_rresp;
        data_ = top_.s_axil_rdata;
        address_moves_ = top_.s_axil_awvalid && top_.s_axil_awready;
        data_moves_ = top_.s_axil_wvalid && top_.s_axil_wready;
        asked_ = asking_ && top_.s_axil_arready;
        written_ = top_.s_axil_bvalid && top_.s_axil_bready;
        answered_ = top_.s_axil_rvalid && top_.s_axil_rready;
        return WELL;
    }

    // What has moved, after the edge.
    void advance() {
        address_left_ &= !address_moves_;
        data_left_ &= !data_moves_;
        top_.s_axil_awvalid &= address_left_;
        top_.s_axil_wvalid &= data_left_;
        if (asked_) asking_ = false;
        if (written_) writing_ = false;
        if (answered_) reading_ = false;
    }

    void release() {
        top_.s_axil_awvalid = top_.s_axil_wvalid = top_.s_axil_arvalid = 0;
        top_.s_axil_bready = top_.s_axil_rready = 1;
    }

  private:
    void begin_write(const Access& access) {
        write_ = access;
        writing_ = address_left_ = data_left_ = true;
        top_.s_axil_awaddr = access.address;
        top_.s_axil_wdata = access.data;
        top_.s_axil_wstrb = access.strobes;
    }

    void begin_read(const Access& access) {
        read_ = access;
        reading_ = asking_ = true;
        top_.s_axil_araddr = access.address;
    }

    Vskipgrid& top_;
    Random& random_;
    const Chaos& chaos_;
    Port port_;
    Access write_{}, read_{};
    uint32_t data_ = 0, response_ = 0, response_read_ = 0;
    bool starts_ = false, stops_ = false;  // commanded, and not yet written
    bool writing_ = false, address_left_ = false, data_left_ = false, reading_ = false, asking_ = false;  // under way
    bool written_waits_ = false, read_waits_ = false;                                                     // an answer, to be taken
    bool address_moves_ = false, data_moves_ = false, asked_ = false, written_ = false, answered_ = false;
    bool busy_ = false, error_ = false, status_steady_ = false;  // what STATUS must say
};

// One use of the accelerator: words are loaded, or a run goes from its start to its end.
class Disturbed {
  public:
    Sink sink;

    Disturbed(Device& device, const Chaos& chaos, Source load, Source in, Sink out)
        : sink(out), device_(device), top_(device.top), chaos_(chaos), random_(chaos.seed), bus_(top_, random_, chaos), load_(load), in_(in),
          load_port_(chaos.load), in_port_(chaos.in), out_port_(chaos.out) {}

    Ended run(bool starts) {
        if (top_.s_axil_bvalid) device_.clock();  // the answer to a write before is taken
        if (starts) bus_.start();
        bool begun = false, ended = !starts;
        uint64_t idle = 0, lull = random_.below(16);  // cycles behind the end in which nothing may come
        Ended found = WELL;
        for (uint64_t cycle = 0; found == WELL; ++cycle) {
            if (cycle == chaos_.reset_at) return reset();
            if (cycle == chaos_.stop_at && !ended) bus_.stop();
            drive(lull > 0);
            device_.settle();
            begun |= top_.busy;
            ended |= begun && !top_.busy;
            if (found = observe(); found != WELL) break;
            if (ended && !load_.offers() && bus_.idle() && !lull--) {
                found = at_rest(starts);
                break;
            }
            device_.edge();
            idle = advance() ? 0 : idle + 1;
            if (idle > chaos_.idle_limit) found = HUNG;
        }
        release();
        return found;
    }

  private:
    void drive(bool may_begin) {
        // A word that is offered stays until it is taken.
        top_.s_axis_load_tvalid = load_.offers() && (load_port_.open(random_) || (top_.s_axis_load_tvalid && !load_moves_));
        if (load_.offers()) {
            top_.s_axis_load_tdata = load_.words[load_.taken];
            top_.s_axis_load_tlast = load_.last[load_.taken];
        }
        top_.s_axis_in_tvalid = in_.offers() && (in_port_.open(random_) || (top_.s_axis_in_tvalid && !in_moves_));
        if (in_.offers()) {
            top_.s_axis_in_tdata = in_.words[in_.taken];
            top_.s_axis_in_tlast = in_.last[in_.taken];
        }
        top_.m_axis_out_tready = out_port_.open(random_);
        bus_.drive(may_begin);
    }

    Ended observe() {
        const bool valid = top_.m_axis_out_tvalid, last = top_.m_axis_out_tlast, user = top_.m_axis_out_tuser;
        if (out_waits_ && !(valid && top_.m_axis_out_tdata == word_ && last == last_ && user == user_)) return OUTPUT_CHANGED;
        if (valid && !top_.busy) return OUTPUT_OUTSIDE;
        if (valid && user && !last) return USER_INSIDE;
        if (top_.irq && top_.busy) return IRQ_WRONG;
        load_moves_ = top_.s_axis_load_tvalid && top_.s_axis_load_tready;
        in_moves_ = top_.s_axis_in_tvalid && top_.s_axis_in_tready;
        out_moves_ = valid && top_.m_axis_out_tready;
        if (load_moves_ && top_.busy) return LOAD_INSIDE;
        if (in_moves_ && !top_.busy) return INPUT_OUTSIDE;
        if (out_moves_ && sink.count == sink.capacity) return TOO_MANY_WORDS;
        out_waits_ = valid && !out_moves_;
        word_ = top_.m_axis_out_tdata;
        last_ = last;
        user_ = user;
        return bus_.observe();
    }

    bool advance() {
        if (out_moves_) {
            sink.words[sink.count] = word_;
            sink.flags[sink.count++] = last_ | user_ << 1;
            open_ = !last_;
            damaged_ |= user_;
        }
        if (in_moves_) in_open_ = !in_.last[in_.taken];
        load_.taken += load_moves_;
        in_.taken += in_moves_;
        bus_.advance();
        return load_moves_ || in_moves_ || out_moves_;
    }

    Ended at_rest(bool ran) const {
        if (open_) return OUTPUT_OPEN;
        if (in_open_) return INPUT_OPEN;
        if (damaged_ && !top_.error) return USER_WITHOUT_ERROR;
        if (ran && !top_.irq) return IRQ_WRONG;
        return WELL;
    }

    Ended reset() {
        release();
        top_.rst = 1;
        device_.settle();
        bool quiet = true;
        for (uint64_t i = 0; i < chaos_.reset_cycles; ++i) {
            device_.clock();
            quiet &= !(top_.busy || top_.irq || top_.error || top_.m_axis_out_tvalid || top_.s_axil_bvalid || top_.s_axil_rvalid);
        }
        top_.rst = 0;
        device_.settle();
        return quiet ? RESET : RESET_WITHOUT_EFFECT;
    }

    void release() {
        top_.s_axis_load_tvalid = top_.s_axis_in_tvalid = top_.m_axis_out_tready = 0;
        bus_.release();
        device_.settle();
    }

    Device& device_;
    Vskipgrid& top_;
    const Chaos& chaos_;
    Random random_;
    Bus bus_;
    Source load_, in_;
    Port load_port_, in_port_, out_port_;
    uint32_t word_ = 0;
    bool last_ = false, user_ = false, out_waits_ = false;                   // the output word of the cycle before
    bool load_moves_ = false, in_moves_ = false, out_moves_ = false;         // in this cycle
    bool open_ = false, in_open_ = false, damaged_ = false;                  // packets of which words have moved
};
