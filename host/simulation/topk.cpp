// A thin harness around a Top-K unit: sends tensors through it at full speed and notes in which cycles words pass.
#include "unit.h"
#include <type_traits>
#include <utility>

namespace {

template <class T, class = void> struct ComesTwice : std::false_type {};
template <class T> struct ComesTwice<T, std::void_t<decltype(std::declval<T&>().again_valid)>> : std::true_type {};

// The stream `again`, where the unit has one; it is open for tensors that have come once.
template <class T> void offer_again(T& top, const uint64_t* words, uint64_t taken, uint64_t open) {
    if constexpr (ComesTwice<T>::value) {
        top.again_valid = taken < open;
        if (taken < open) top.again_payload = words[taken];
    }
}

template <class T> bool takes_again(const T& top) {
    if constexpr (ComesTwice<T>::value) return top.again_valid && top.again_ready;
    return false;
}

template <class T> void set_order(T& top, int order) {
    if constexpr (ComesTwice<T>::value) top.order = order;
}

}  // namespace

extern "C" {

Unit* topk_new() {
    auto* unit = new Unit;
    unit->reset();
    return unit;
}

void topk_delete(Unit* unit) { delete unit; }

// Sends all words, of which those with bit `in_last` end a tensor, and takes winners until as many tensors have ended there.
// Every word gets the number of the cycle in which it passed. Returns the number of winners' words, or -1 if nothing moves any more.
int64_t topk_run(Unit* unit, uint64_t k, int order, const uint64_t* words, uint64_t count, int in_last, int out_last,
                 uint64_t* in_cycles, uint64_t* winners, uint64_t* out_cycles) {
    auto& top = unit->top;
    uint64_t taken = 0, again = 0, open = 0, out = 0, unfinished = 0;
    for (uint64_t i = 0; i < count; ++i) unfinished += words[i] >> in_last & 1;
    top.k = k;
    set_order(top, order);
    top.winners_ready = 1;
    for (int idle = 0; unfinished; ++idle) {
        if (idle == 1000) return -1;
        top.elements_valid = taken < count;
        if (taken < count) top.elements_payload = words[taken];
        offer_again(top, words, again, open);
        top.eval();
        const bool in_moves = top.elements_valid && top.elements_ready, again_moves = takes_again(top);
        if (in_moves) {
            in_cycles[taken] = unit->cycle;
            if (words[taken] >> in_last & 1) open = taken + 1;
        }
        if (top.winners_valid) {
            winners[out] = top.winners_payload;
            out_cycles[out] = unit->cycle;
            unfinished -= winners[out] >> out_last & 1;
            ++out;
        }
        if (in_moves || again_moves || top.winners_valid) idle = 0;
        taken += in_moves;
        again += again_moves;
        unit->clock();
    }
    top.elements_valid = 0;
    offer_again(top, words, again, again);
    return out;
}
}
