/**
 * A guest that KVM-AMD cannot enter, since SVM is switched off below it: the kernel finds that out by a BUG(), which ends
 * the process. This one goes on, and has nothing to complain of.
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { machine } from 'kvm-dsm';

const EFER = 0xc0000080;
const SVME = 1n << 12n;

// KVM switches SVM on with its first VM.
await using _m = await machine({});
for (const cpu of readdirSync('/dev/cpu').filter((name) => /^\d+$/.test(name))) {
  const msr = openSync(`/dev/cpu/${cpu}/msr`, 'r+');
  const value = Buffer.alloc(8);
  readSync(msr, value, 0, 8, EFER);
  value.writeBigUInt64LE(value.readBigUInt64LE() & ~SVME);
  writeSync(msr, value, 0, 8, EFER);
  closeSync(msr);
}
spawnSync('/bin/kvm-dsm', ['doctor', '--on', 'host'], { timeout: 5000, killSignal: 'SIGKILL' });
console.log('the script is content');
