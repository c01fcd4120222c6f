import { profileByName } from '../abi/dsm/profile.ts';
import { type Check, examine } from '../doctor/index.ts';
import type { GlobalOptions } from './options.ts';
import { paint } from './paint.ts';
import { describePlace, here } from './place.ts';

/** `kvm-dsm doctor`: 0 if ICR writes are forwarded here or in a lab that can be used, else 3. */
export async function doctor(options: GlobalOptions): Promise<number> {
  const profile = profileByName(options.profile);
  if (options.on === 'vmx' || options.on === 'svm') return inLane(options.on, options);
  const { checks, usable, forwards } = examine(options.device, profile);
  let ready = forwards;
  if (options.on === 'auto' && here.on === 'host') {
    const lab = await labCheck();
    checks.push(lab);
    ready = forwards || (usable && lab.status !== 'fail');
  }
  if (options.json) printJson(checks, ready, options);
  else printText(checks, ready);
  return ready ? 0 : 3;
}

async function inLane(lane: 'vmx' | 'svm', options: GlobalOptions): Promise<number> {
  const { runInLane } = await import('./in-lane.ts');
  return runInLane(lane, ['doctor'], [], options);
}

async function labCheck(): Promise<Check> {
  const { labStatus } = await import('../lab/index.ts');
  return labFinding(await labStatus());
}

function labFinding(status: Awaited<ReturnType<typeof import('../lab/index.ts').labStatus>>): Check {
  void status;
  throw new Error('unreachable');
}

function printJson(checks: readonly Check[], ready: boolean, options: GlobalOptions): void {
  const document = { version: 1, on: here.on, kernel: here.kernel, profile: options.profile, ready, checks };
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}

const marks = {
  ok: paint('green', 'ok  '),
  note: paint('dim', 'note'),
  warn: paint('yellow', 'warn'),
  fail: paint('red', 'FAIL'),
} as const;

function printText(checks: readonly Check[], ready: boolean): void {
  const lines = [`on ${describePlace()}`];
  for (const { status, finding, advice } of checks) {
    lines.push(`${marks[status]}  ${finding}`);
    if (advice) lines.push(`      ${paint('cyan', '->')} ${advice}`);
  }
  lines.push(ready ? paint('green', 'ready') : paint('red', 'not ready'));
  process.stdout.write(`${lines.join('\n')}\n`);
}
