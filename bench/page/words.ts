// What a case's figure means to a user.
export const meaning: Readonly<Record<string, string>> = {
  'run-pio': 'a script of its own that handles each `out` or `in` itself',
  'run-mmio': 'the same, with a device in memory',
  'run-dsm': 'the same, with forwarded writes of an ICR',
  'run-raw': 'a loop that looks into kvm_run itself',
  'run-raw-deadline': 'that loop, and a guest that hangs ends it in time',
  'run-deadline': '`run()` with a deadline of its own',
  'kit-1': '`machine.run()` of one vCPU: most scripts and checks',
  'kit-2': '`machine.run()` of two vCPUs side by side: IPIs between them',
  'machine-run-close': 'a check or a test of one exit: how many fit into a second',
  'start-on-exit': 'a vCPU of its own thread whose exits JavaScript answers',
  'start-for-await': 'the same, in a loop that reads like a script',
  'record-1': 'a storm of exits of one vCPU that nobody has to answer',
  'record-2': 'the same of two vCPUs',
  'record-4': 'the same of four',
  'record-16': 'the same of 16: does a vCPU more cost more?',
  'record-64': 'the same of 64, the most that a machine has',
  kick: 'how soon a guest that runs sees what was changed for it',
  'pause-resume': 'how soon the registers of a guest that runs can be read',
  'get-regs': 'reports, and conditions on registers',
  'signal-msi': 'interrupts as a device sends them',
  'machine-signal-msi': 'the same, with a line in the trace',
  'dsm-ipi': 'an IPI replayed on another machine, with the checks of the method',
  'dsm-ipi-insist': 'the same without most of them',
};

export const figureMeaning: Readonly<Record<string, string>> = {
  'first-exit': 'what `kvm-dsm run script.ts --on <lane>` lets you wait',
  memory: 'whether a soak test of days grows',
  start: 'what each command costs before it does anything',
};
