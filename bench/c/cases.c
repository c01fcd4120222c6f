// The list of the cases.
#include "cases.h"

#include <string.h>

static const struct work works[] = {
    {"run-pio", run_on_this_thread, "pio", 1},
    {"run-mmio", run_on_this_thread, "mmio", 1},
    {"run-dsm", run_on_this_thread, "dsm", 1},
    {"run-raw", run_on_this_thread, "pio", 1},
    {"run-raw-deadline", run_on_this_thread, "pio", 1},
    {"run-deadline", run_on_this_thread, "pio", 1},
    {"kit-1", run_on_this_thread, "pio", 1},
    {"kit-2", run_on_threads, "pio", 2},
    {"start-on-exit", run_parked, "pio", 1},
    {"start-for-await", run_parked, "pio", 1},
    {"record-1", run_on_threads, "pio", 1},
    {"record-2", run_on_threads, "pio", 2},
    {"record-4", run_on_threads, "pio", 4},
    {"record-16", run_on_threads, "pio", 16},
    {"record-64", run_on_threads, "pio", 64},
    {"kick", kick_running, "spin", 1},
    {"pause-resume", pause_running, "spin", 1},
    {"get-regs", get_regs, "pio", 1},
    {"signal-msi", signal_msi, "pio", 1},
    {"machine-signal-msi", signal_msi, "pio", 1},
    {"dsm-ipi", dsm_ipi, "pio", 1},
    {"dsm-ipi-insist", dsm_ipi, "pio", 1},
    {"machine-run-close", make_run_close, "pio", 1},
};

const struct work* work_of(const char* name) {
  for (unsigned i = 0; i < sizeof works / sizeof *works; i++)
    if (strcmp(works[i].name, name) == 0) return &works[i];
  return 0;
}
