// The one clock of exits, records and traces.
#pragma once

#include <cstdint>
#include <ctime>

// CLOCK_MONOTONIC in ns. No system call: the vDSO answers.
inline uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000u + static_cast<uint64_t>(now.tv_nsec);
}
