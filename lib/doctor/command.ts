/** `kvm-dsm doctor`: its checks, here or in a lane, as text or JSON. */
import { type DsmProfile, profileByName } from '../abi/dsm/profiles.ts';
import { KvmDsmError } from '../base/errors.ts';
import { KVM_DEVICE } from '../kvm/kvm.ts';
import { autoLane, type LaneName } from '../lab/lanes/index.ts';
import { laneOf } from '../target/lanes.ts';
import type { GlobalOptions } from '../target/options.ts';
import { print } from '../target/output.ts';
import { paint } from '../target/paint.ts';
import { AUTO_PROFILE, checkProfileName } from '../target/profile-name.ts';
import { currentTarget, describeTarget, laneMeant } from '../target/target.ts';
import { examine, type HealthCheck } from './index.ts';
import { comparedProfile, recognizedProfile } from './profile.ts';

/** Where ICR writes are forwarded; `null`: nowhere. */
type Ready = 'here' | typeof IN_LAB | null;

const IN_LAB = `in the lab: --on ${autoLane}`;

/** `kvm-dsm doctor`: 0 if ICR writes are forwarded here or in a lab that can be used, else 3. */
export async function doctor(options: GlobalOptions): Promise<number> {
  checkProfileName(options.profile);
  const lane = laneOf(options.on) ?? laneMeant(options);
  if (lane) return inLane(lane, options);
  const { profile, checks: found } = recognized(options);
  const { checks, usable, forwards } = examine(options.device, profile);
  checks.unshift(...found);
  let ready: Ready = forwards ? 'here' : null;
  if (options.on === 'auto' && currentTarget.on === 'host') {
    const lab = await checkLab();
    checks.push(lab.check);
    // A device that is asked for and cannot be used is no ready machine, whatever the lab could do; nor is one without the addon.
    const failed = checks.filter(({ status }) => status === 'fail');
    const given = options.device !== KVM_DEVICE;
    if (!forwards && lab.usable && (usable || !given) && failed.every(({ id }) => id !== 'addon')) {
      ready = IN_LAB;
      for (const check of failed) check.status = 'warn';
    }
  }
  if (options.json) printJson(checks, ready, profile);
  else printText(checks, ready);
  return ready ? 0 : 3;
}

function recognized({ profile, device }: GlobalOptions): { profile: DsmProfile; checks: HealthCheck[] } {
  if (profile === AUTO_PROFILE) return recognizedProfile(device);
  const named = profileByName(profile);
  return { profile: named, checks: comparedProfile(device, named) };
}

async function inLane(lane: LaneName, options: GlobalOptions): Promise<number> {
  const { runCommandInLane } = await import('../target/in-lane.ts');
  return runCommandInLane('doctor', lane, options);
}

/** Whether the lab can take the place of a host that does not forward. */
async function checkLab(): Promise<{ usable: boolean; check: HealthCheck }> {
  const { labStatus } = await import('../lab/index.ts');
  const build = `Build it: kvm-dsm lab build (or let the first --on ${autoLane} do it).`;
  const finding = (status: HealthCheck['status'], text: string, advice: string | null = null) => ({
    usable: status !== 'warn',
    check: { id: 'lab', status, finding: text, advice },
  });
  // Its folders may belong to somebody else: the doctor says so and goes on.
  const status = await labStatus().catch((error: unknown) => {
    if (error instanceof KvmDsmError) return error;
    throw error;
  });
  if (status instanceof KvmDsmError) return finding('warn', `The lab cannot be used: ${status.message}`, status.advice);
  const { image, packages, lanes } = status;
  if (image.state === 'present' && lanes[autoLane].usable)
    return finding(
      'ok',
      `The lab is ${image.ready ? 'ready, with the kernel from the package' : 'built'}: --on ${autoLane} boots a patched kernel`,
    );
  const lacks = [...packages.missing, ...(image.state === 'present' ? [] : packages.building)];
  const installs = packages.debian && process.geteuid?.() === 0;
  if (lacks.length > 0 && !installs)
    return finding(
      'warn',
      `The lab lacks packages of ${packages.distribution}: ${lacks.join(' ')}`,
      'kvm-dsm lab build says how they are installed.',
    );
  if (image.state === 'present') return finding('note', `The lab lacks packages: ${lacks.join(' ')}`, build);
  return finding('note', `The lab's kernel image is ${image.state}`, build);
}

function printJson(checks: readonly HealthCheck[], ready: Ready, profile: DsmProfile): void {
  const document = {
    version: 1,
    on: currentTarget.on,
    kernel: currentTarget.kernel,
    profile: profile.name,
    ready: ready !== null,
    checks,
  };
  print(`${JSON.stringify(document, null, 2)}\n`);
}

const marks = {
  ok: paint('green', 'ok  '),
  note: paint('dim', 'note'),
  warn: paint('yellow', 'warn'),
  fail: paint('red', 'FAIL'),
} as const;

function printText(checks: readonly HealthCheck[], ready: Ready): void {
  const lines = [`on ${describeTarget()}`];
  for (const { status, finding, advice } of checks) {
    lines.push(`${marks[status]}  ${finding}`);
    if (advice) lines.push(`      ${paint('cyan', '->')} ${advice}`);
  }
  lines.push(ready ? paint('green', `ready ${ready}`) : paint('red', 'not ready'));
  print(`${lines.join('\n')}\n`);
}
