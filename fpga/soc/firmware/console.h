/* What the firmware says: lines for people, words for programs. */
#pragma once
#include "soc_bus.h"

static inline void say(const char *text) {
  for (; *text; text++) soc_store(SOC_CONSOLE_CHARACTER, (uint8_t)*text);
}

static inline void say_number(uint32_t number) {
  char digits[11];
  char *first = digits + 10;
  *first = 0;
  do *--first = (char)('0' + number % 10);
  while (number /= 10);
  say(first);
}

static inline void tell(uint32_t word) { soc_store(SOC_CONSOLE_WORD, word); }
