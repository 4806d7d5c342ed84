/* Encodes and decodes what the golden model has made, each in memory that is just large enough, so that a sanitizer sees every byte too far.
   Standard input: records of k, elements, words, valid (uint32 each), then the bytes, if valid, and the words. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skipgrid.h"

static uint32_t number; /* of the record */

static void check(int right, const char *what) {
  if (right) return;
  fprintf(stderr, "tensor %u: %s\n", (unsigned)number, what);
  exit(1);
}

static void *taken(size_t size) {
  void *memory = malloc(size);
  if (size) check(fread(memory, size, 1, stdin) == 1, "the record is cut");
  return memory;
}

static enum skipgrid_error decoded(const uint32_t *words, uint32_t count, uint32_t k, const uint8_t *expected, uint32_t elements) {
  uint32_t *given = malloc(4 * (size_t)count);
  uint8_t *bytes = malloc(elements);
  enum skipgrid_error error;
  if (count) memcpy(given, words, 4 * (size_t)count);
  error = skipgrid_decode(given, count, k, bytes, elements);
  if (!error && expected && elements) check(!memcmp(bytes, expected, elements), "decoded to other bytes");
  free(bytes);
  free(given);
  return error;
}

static void encoded(const uint8_t *bytes, uint32_t elements, uint32_t k, const uint32_t *expected, uint32_t count, uint32_t room) {
  uint32_t *words = malloc(4 * (size_t)room), used = 0;
  enum skipgrid_error error = skipgrid_encode(bytes, elements, k, words, room, &used);
  check(error == (room < count ? SKIPGRID_BUFFER_SMALL : SKIPGRID_OK), "encoded with another result");
  check(used == count, "encoded to another number of words");
  if (room) check(!memcmp(words, expected, 4 * (size_t)(room < count ? room : count)), "encoded to other words");
  free(words);
}

int main(void) {
  uint32_t head[4];
  for (; fread(head, sizeof head, 1, stdin) == 1; number++) {
    uint32_t k = head[0], elements = head[1], count = head[2], valid = head[3];
    uint8_t *bytes = taken(valid ? elements : 0);
    uint32_t *words = taken(4 * (size_t)count);
    check(decoded(words, count, k, bytes, elements) == (valid ? SKIPGRID_OK : SKIPGRID_CODE_WRONG), "decoded with another result");
    if (valid) {
      check(count <= SKIPGRID_CODE_WORDS(elements, k), "takes more words than any code");
      encoded(bytes, elements, k, words, count, count);
      encoded(bytes, elements, k, words, count, count + 1);
      check(decoded(words, count, k, NULL, elements + 1) == SKIPGRID_CODE_WRONG, "is the code of one element more");
      if (count) {
        encoded(bytes, elements, k, words, count, count - 1);
        check(decoded(words, count - 1, k, NULL, elements) == SKIPGRID_CODE_WRONG, "is right without its last word");
        check(decoded(words, count, k, NULL, elements - 1) == SKIPGRID_CODE_WRONG, "is the code of one element less");
      }
    }
    free(words);
    free(bytes);
  }
  printf("%u\n", (unsigned)number);
  return 0;
}
