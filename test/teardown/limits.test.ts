/** Processes at their limits, and under a rain of signals: nothing crashes, hangs or is left over, and errors say what to raise. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { noKvm } from '../support/host.ts';
import { loaderArgs, programBeside } from '../support/library.ts';
import { noLimits } from '../support/limits.ts';

const child = programBeside(import.meta.url, 'limits-child.ts');
const DEADLINE = 180_000;

/** AddressSanitizer takes more of the address space than there is memory, and ends the process that gets no more. */
const noTightMemory =
  process.env.LD_PRELOAD?.includes('libasan') === true ? 'AddressSanitizer does not bear RLIMIT_AS' : false;

/** What each runs under from its start. */
const cases: Record<string, { what: string; under?: string; skip?: string | false; kvm?: false }> = {
  sigpending: { what: 'run, settle, kick, pause, stop and close need no signal that waits', under: '--sigpending=0:' },
  listener: { what: 'the same while the program listens to SIGURG', under: '--sigpending=0:' },
  deadline: { what: 'a run without a thread that keeps its deadline is refused' },
  nproc: { what: 'no thread can be made' },
  nofile: { what: 'no file can be opened, at each step' },
  waits: { what: 'there are more waits than files may be open', under: '--nofile=200', kvm: false },
  as: { what: 'there is no memory', skip: noTightMemory },
  signals: { what: 'VMs are made while signals come all the time' },
};

for (const [name, { what, under, skip, kvm }] of Object.entries(cases))
  test(what, { skip: (kvm ?? noKvm) || noLimits || skip }, () => {
    const args = [...loaderArgs, child, name];
    const command = under ? ['prlimit', under, process.execPath, ...args] : [process.execPath, ...args];
    const { status, signal, stdout, stderr } = spawnSync(command[0]!, command.slice(1), {
      encoding: 'utf8',
      timeout: DEADLINE,
      killSignal: 'SIGKILL',
    });
    const last = stderr.split('\n').slice(-30).join('\n');
    assert.deepEqual({ status, signal, stdout, last }, { status: 0, signal: null, stdout: 'ok\n', last: '' });
  });
