// The cases of the C side.
#pragma once

#include "vm.h"

struct timer {
  uint64_t wall, cpu;
};

void timer_start(struct timer* timer);
void timer_stop(struct timer* timer);

// A case: how it is done, and of what guest and with how many vCPUs.
struct work {
  const char* name;
  void (*run)(struct timer* timer, uint64_t exits, const struct work* work);
  const char* guest;
  int vcpus;
};

const struct work* work_of(const char* name);
const struct guest* guest_of(const char* name);

void run_on_this_thread(struct timer* timer, uint64_t exits, const struct work* work);
void run_on_threads(struct timer* timer, uint64_t exits, const struct work* work);
void run_parked(struct timer* timer, uint64_t exits, const struct work* work);
void kick_running(struct timer* timer, uint64_t kicks, const struct work* work);
void pause_running(struct timer* timer, uint64_t pauses, const struct work* work);
void get_regs(struct timer* timer, uint64_t calls, const struct work* work);
void signal_msi(struct timer* timer, uint64_t calls, const struct work* work);
void dsm_ipi(struct timer* timer, uint64_t calls, const struct work* work);
void make_run_close(struct timer* timer, uint64_t machines, const struct work* work);
