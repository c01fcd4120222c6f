/** `kvm-dsm review` end to end: the mails of RFC v2, the corrected series, and series that come less far. Kernels are built; see docs/review.md. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { kvmDsm, root } from '../support/command.ts';
import { compilerMissing, labMissing, sourceMissing } from '../support/lab.ts';
import { longCommands } from '../support/long-commands.ts';
import { testFolder } from '../support/test-folder.ts';

const seconds = 7200;
const lane = process.env.KVM_DSM_FULL_LANE;
const on = lane === undefined ? [] : ['--on', lane];
const work = testFolder();

interface SideTold {
  runs: { facts: { forwards: boolean }; totals: { fail: number; xfail: number } }[];
}

interface Told {
  verdict: string;
  profile: string;
  build: { first: string } | null;
  findings: { severity: string; id: string; log: string[]; again: string }[];
  checklist: { id: string; verdict: string; seen: string[] }[];
  parent: SideTold;
  child: SideTold & { runs: { boot: { reason: string; console: string[] } | null }[] };
}

/** What it told, the seconds that it took, and its reply, of which no line is too long for a mail. */
function reviewed(series: string, more: readonly string[] = on): Told & { reply: string } {
  const { stdout, stderr } = kvmDsm(['review', series, '--json', ...more], seconds);
  assert.ok(stdout.startsWith('{'), stderr);
  // Every stage is kept: the same in words costs nothing.
  const reply = kvmDsm(['review', series, ...more], seconds).stdout;
  for (const line of reply.split('\n')) assert.ok(line.length <= 72, line);
  return { ...(JSON.parse(stdout) as Told), reply };
}

function patch(name: string, hunk: readonly string[]): string {
  const path = join(work, name);
  const head = `From: A <a@example.org>\nSubject: [PATCH] KVM: x86: ${name}\n\nWords.\n\nSigned-off-by: A <a@example.org>\n---\n`;
  const file = 'arch/x86/kvm/x86.c';
  writeFileSync(path, `${head}--- a/${file}\n+++ b/${file}\n${hunk.join('\n')}\n`);
  return path;
}

const vendorInit = (line: string) => [
  '@@ -9271,6 +9271,7 @@ int kvm_x86_vendor_init(struct kvm_x86_init_ops *ops)',
  ' \tu64 host_pat;',
  ' \tint r, cpu;',
  ' ',
  `+${line}`,
  ' \tguard(mutex)(&vendor_module_lock);',
  ' ',
  ' \tif (kvm_x86_ops.enable_virtualization_cpu) {',
];

const reviews = [...longCommands].filter(([command]) => command.includes(' review '));

describe('kvm-dsm review', {
  skip: labMissing() || sourceMissing() || compilerMissing(),
  timeout: 4 * seconds * 1000,
}, () => {
  test('the mails of RFC v2: it forwards, and what it lacks is found', () => {
    const told = reviewed('kernel/mails/rfc-v2.mbox');
    assert.deepEqual([told.verdict, told.profile], ['findings', 'rfc-v2']);
    for (const { facts, totals } of told.child.runs) assert.deepEqual([facts.forwards, totals.fail], [true, 0]);
    for (const { facts, totals } of told.parent.runs) assert.deepEqual([facts.forwards, totals.fail], [false, 0]);
    const found = new Set(told.findings.map(({ id }) => id));
    const checks = ['once.both.pushad', 'bypass.x2apic.forwarded', 'state.pending.restored', 'capability.opt-in'];
    const rules = ['checklist 3', 'checklist 4', 'checklist 8', 'checklist 10'];
    const questions = ['uapi.config', 'uapi.types', 'uapi.headers', 'uapi.numbers', 'test.selftest'];
    for (const id of [...checks, ...rules, ...questions]) assert.ok(found.has(id), `${id} of ${[...found].join(', ')}`);
    assert.equal(told.findings[0]!.id, 'injection.crash.no-vcpu');
    const layouts = told.checklist.find(({ id }) => id === '10')!.seen.join('\n');
    assert.match(layouts, /kvm_run\.x2apic\.data: 40 for 64 bits, 36 for 32/);
    assert.match(told.reply, /^== Takes the kernel down$/m);
    for (const { id, again } of told.findings) assert.match(again, /^npx kvm-dsm (test|review|doctor) /, id);
    const each = new Set(told.findings.map(({ again }) => again));
    for (const again of each) {
      const { status, stdout, stderr } = spawnSync('sh', ['-c', again], { cwd: root, encoding: 'utf8' });
      if (again.includes(' doctor ')) assert.match(stdout, /forward/, again);
      else assert.equal(status, 1, `${again}\n${stdout}${stderr}`);
    }
  });

  test('the corrected series: by its own profile, and nothing is found', () => {
    const told = reviewed('kernel/fixed');
    assert.deepEqual([told.verdict, told.profile, told.findings], ['no finding', 'fixed-v1', []]);
    for (const { facts, totals } of told.child.runs)
      assert.deepEqual([facts.forwards, totals.fail, totals.xfail], [true, 0, 0]);
    assert.match(told.reply, /^Verdict: it builds and boots; nothing was found\.$/m);
  });

  // Their stages are kept by now.
  for (const [command, codes] of lane === undefined ? reviews : [])
    test(`${command}, as the documents have it`, () => {
      const { code, stderr } = kvmDsm(command.split(' ').slice(2), seconds);
      assert.ok(codes.includes(code!), `${code}: ${stderr}`);
    });

  const few = ['--on', lane ?? 'svm', '--only', 'capability.api-version', '--only', 'capability.probe'];

  test('a series that does not build is told by file and line', () => {
    const { verdict, build, reply } = reviewed(patch('not-c.patch', vendorInit('\tint no_such_thing = nothing;')), few);
    assert.equal(verdict, 'does not build');
    assert.match(build!.first, /^arch\/x86\/kvm\/x86\.c:9274:\d+: error: .nothing. undeclared/);
    assert.match(reply, /DOES NOT BUILD; what it stands on does\./);
  });

  test('a kernel that panics before anything runs is told with its last words', () => {
    const { verdict, child, reply } = reviewed(patch('no-boot.patch', vendorInit('\tpanic("no vendor today");')), few);
    assert.equal(verdict, 'does not boot');
    assert.match(child.runs[0]!.boot!.console.join('\n'), /panic - not syncing: no vendor today/);
    assert.match(reply, /DOES NOT BOOT on (svm|vmx)\./);
  });

  test('a kernel that panics when it is asked for an ioctl is told so, and judged on the rest', () => {
    const hunk = [
      '@@ -6926,6 +6926,8 @@ int kvm_arch_vm_ioctl(struct file *filp, unsigned int ioctl, unsigned long arg)',
      ' \t\tbreak;',
      ' \t}',
      ' \tdefault:',
      '+\t\tif (_IOC_NR(ioctl) == 0xf3)',
      '+\t\t\tpanic("asked for an ioctl");',
      ' \t\tr = -ENOTTY;',
      ' \t}',
      ' out:',
    ];
    const { verdict, findings, reply } = reviewed(patch('no-answer.patch', hunk), few);
    assert.equal(verdict, 'findings');
    const [first] = findings;
    assert.deepEqual([first!.severity, first!.id], ['crash', 'capability.probe.ipi']);
    assert.match(reply, /IT DIES ON (svm|vmx)\s+WHEN IT\s+IS\s+PROBED/);
    assert.match(reply, /asked for an ioctl/);
  });
});
