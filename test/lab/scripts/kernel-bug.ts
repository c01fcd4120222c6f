/**
 * A guest that KVM-AMD cannot enter, since SVM is switched off below it: the kernel finds that out by a BUG(), which ends
 * the thread that asked. This process goes on, and has nothing to complain of.
 */
import { spawn } from 'node:child_process';
import { closeSync, constants, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { machine } from 'kvm-dsm';

const EFER = 0xc0000080;
const SVME = 1n << 12n;
const DEADLINE_MS = 90_000;

const log = openSync('/dev/kmsg', constants.O_RDONLY | constants.O_NONBLOCK);

/** True if the kernel has written of a BUG() since the last call. */
function bugFound(log: number): boolean {
  const record = Buffer.alloc(8192);
  for (let found = false; ; ) {
    try {
      const text = record.toString('latin1', 0, readSync(log, record, 0, record.length, null));
      if (text.includes(';kernel BUG at ')) found = true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return found;
      throw error;
    }
  }
}

// KVM switches SVM on with its first VM.
const m = await machine({});
bugFound(log);
for (const cpu of readdirSync('/dev/cpu').filter((name) => /^\d+$/.test(name))) {
  const msr = openSync(`/dev/cpu/${cpu}/msr`, 'r+');
  const value = Buffer.alloc(8);
  readSync(msr, value, 0, 8, EFER);
  value.writeBigUInt64LE(value.readBigUInt64LE() & ~SVME);
  writeSync(msr, value, 0, 8, EFER);
  closeSync(msr);
}
const child = spawn('/bin/kvm-dsm', ['doctor', '--on', 'host'], { stdio: 'ignore' });
const ends = performance.now() + DEADLINE_MS;
while (!bugFound(log)) {
  if (performance.now() > ends) throw new Error('the kernel has found no BUG()');
  await new Promise((resolve) => setTimeout(resolve, 20));
}
closeSync(log);
child.kill('SIGKILL');
child.unref();
m.close();
console.log('the script is content');
