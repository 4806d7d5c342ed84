// A thin harness around a system on a chip: puts a program into its memory, lets it run, and listens to its console.
#include "unit.h"

enum State : int { RUNS, ENDED, TRAPPED };

struct Soc : Unit {
    State state = RUNS;
    uint32_t exit_code = 0;
};

extern "C" {

// A system whose memory holds these words from address 0 on, and whose CPU is about to read the first of them.
Soc* soc_new(const uint32_t* words, uint64_t count) {
    auto* s = new Soc;
    s->top.clk = 0;
    s->top.rst = 1;
    s->top.boot = 1;
    for (uint64_t i = 0; i < count; ++i) {
        s->top.boot_address = i;
        s->top.boot_data = words[i];
        s->top.eval();
        s->clock();
    }
    s->top.boot = 0;
    s->reset();
    s->cycle = 0;
    return s;
}

void soc_delete(Soc* s) { delete s; }

uint64_t soc_cycle(const Soc* s) { return s->cycle; }

uint32_t soc_exit_code(const Soc* s) { return s->exit_code; }

// Runs for some cycles, or until the program ends, the CPU traps, or no room is left for what is said. Returns a `State`.
int soc_run(Soc* s, uint64_t cycles, char* text, uint64_t text_room, uint64_t* text_count, uint32_t* words, uint64_t word_room,
            uint64_t* word_count) {
    const uint64_t end = s->cycle + cycles;
    *text_count = *word_count = 0;
    while (s->state == RUNS && s->cycle < end && *text_count < text_room && *word_count < word_room) {
        s->clock();
        if (s->top.character_valid) text[(*text_count)++] = char(s->top.data);
        if (s->top.word_valid) words[(*word_count)++] = s->top.data;
        if (s->top.exit_valid) {
            s->exit_code = s->top.data;
            s->state = ENDED;
        } else if (s->top.trap) {
            s->state = TRAPPED;
        }
    }
    return s->state;
}

}  // extern "C"
