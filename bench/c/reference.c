// The C side of the benchmarks: what one would write by hand for each case. Takes the guests' programs as arguments
// (name=code,reason,payload,data in hex), and lines `case exits` from standard input; answers each with the nanoseconds of
// the clock, of the process' own time, and the exits, or with `-` for a case that it does not have.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cases.h"

#define MOST_GUESTS 8

static struct guest guests[MOST_GUESTS];
static int guest_count;

static uint64_t clock_ns(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static size_t from_hex(const char* text, uint8_t* bytes, size_t most) {
  size_t size = 0;
  unsigned byte;
  while (size < most && sscanf(text + 2 * size, "%2x", &byte) == 1) bytes[size++] = byte;
  return size;
}

static void add_guest(char* text) {
  struct guest* guest = &guests[guest_count++];
  guest->name = strsep(&text, "=");
  guest->size = from_hex(strsep(&text, ","), guest->code, sizeof guest->code);
  guest->each.reason = atoi(strsep(&text, ","));
  guest->each.rip = PROGRAM(0);
  from_hex(strsep(&text, ","), guest->each.payload, sizeof guest->each.payload);
  from_hex(strsep(&text, ","), guest->each.data, sizeof guest->each.data);
  guest->last = guest->each;
  guest->last.reason = KVM_EXIT_IO;
  from_hex(text, guest->last.payload, sizeof guest->last.payload);
}

const struct guest* guest_of(const char* name) {
  for (int i = 0; i < guest_count; i++)
    if (strcmp(guests[i].name, name) == 0) return &guests[i];
  fprintf(stderr, "no guest %s\n", name);
  exit(1);
}

void timer_start(struct timer* timer) {
  timer->cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  timer->wall = clock_ns(CLOCK_MONOTONIC);
}

void timer_stop(struct timer* timer) {
  timer->wall = clock_ns(CLOCK_MONOTONIC) - timer->wall;
  timer->cpu = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - timer->cpu;
}

int main(int argc, char** argv) {
  char line[128], name[64];
  unsigned long exits;
  if (argc - 1 > MOST_GUESTS) return 2;
  for (int i = 1; i < argc; i++) add_guest(argv[i]);
  while (fgets(line, sizeof line, stdin) && sscanf(line, "%63s %lu", name, &exits) == 2) {
    struct timer timer;
    const struct work* work = work_of(name);
    if (work) {
      work->run(&timer, exits, work);
      printf("%lu %lu %lu\n", timer.wall, timer.cpu, exits);
    } else {
      puts("-");
    }
    fflush(stdout);
  }
  return 0;
}
