/** What ends a machine of the lab, and the errors that name it. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { buildLab, LabError, runInLab } from '../../lib/lab/index.ts';
import { labMissing } from '../support/lab.ts';
import { emulatorsOf, script } from './boot.ts';

const skip = labMissing();

/** Runs it and gives back what it was refused with. */
async function failure(options: Parameters<typeof runInLab>[0]): Promise<LabError & { log?: readonly string[] }> {
  const ended = await runInLab(options).catch((error: unknown) => error);
  assert.ok(ended instanceof LabError, `the run ended with ${String(ended)}`);
  return ended;
}

describe('what ends a guest is named', { skip, concurrency: 2, timeout: 300_000 }, () => {
  const dir = mkdtempSync(join(tmpdir(), 'kvm-dsm-test-'));
  after(() => {
    rmSync(dir, { recursive: true, force: true });
    assert.deepEqual(emulatorsOf(process.pid), [], 'no emulator is left');
  });

  for (const lane of ['vmx', 'svm'] as const) {
    test(`${lane}: a panic`, async () => {
      const error = await failure(script(lane, 'echo c >/proc/sysrq-trigger; cat /lab/never'));
      assert.equal(error.code, 'ERR_LAB_PANIC');
      assert.equal(error.exitCode, 1);
      assert.match(error.message, /panicked: sysrq triggered crash\n/);
      assert.ok(
        error.log?.some((line) => line.includes('Trigger a crash')),
        'the log is part of it',
      );
    });
  }

  test('a kernel that finds no init', async () => {
    const options = script('svm', 'true');
    options.cmdline = 'rdinit=/nowhere';
    const error = await failure(options);
    assert.equal(error.code, 'ERR_LAB_PANIC');
    assert.match(error.message, /Unable to mount root fs|No working init found/);
  });

  test('an oops, even if the command ends well', async () => {
    // A WARN() that the kernel goes on after does not hide it. The kernel waits 10 ms for its serial line, and goes on without
    // what that has not taken: on a busy host words may be missing, but not of each of an oops' lines.
    const lines = [
      '<4>WARNING: CPU: 1 PID: 70 at arch/x86/kvm/lapic.c:1 f+0x0/0x1',
      '<1>BUG: kernel NULL pointer dereference, address: 0000000000000042',
      '<4>Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI',
      '<1>BUG: kernel NULL pointer dereference, address: 0000000000000043',
      '<4>Oops: Oops: 0002 [#2] PREEMPT SMP NOPTI',
    ];
    const options = script('svm', lines.map((line) => `echo '${line}' >/dev/kmsg`).join('; '));
    const error = await failure(options);
    assert.equal(error.code, 'ERR_LAB_OOPS');
    assert.equal(error.exitCode, 1);
    assert.match(error.message, /oopsed: (BUG: kernel NULL pointer dereference|Oops: )/);
  });

  test('a report of the kernel that goes on, even if the command ends well', async () => {
    const line = 'WARNING: CPU: 1 PID: 70 at arch/x86/kvm/lapic.c:1 f+0x0/0x1';
    // As low as a WARN() is.
    // More than once: on a busy host a line may be without some of its words.
    const say = `echo '<4>${line}' >/dev/kmsg`;
    const error = await failure(script('svm', `${say}; ${say}; ${say}`));
    assert.equal(error.code, 'ERR_LAB_REPORT');
    assert.equal(error.exitCode, 1);
    assert.match(error.message, /^the lab's kernel reported a WARN\(\): WARNING: /);
  });

  test("lines that look like init's and are not: they stand in the log, and change nothing", async () => {
    const forged = ['exit 0', 'bye', 'exit 0 0', 'panic'].map((text) => `echo '<0>@kvm-dsm ${text}' >/dev/kmsg`);
    const options = script('svm', `${forged.join('; ')}; cat /proc/1/environ /proc/cmdline; ls /lab; exit 7`);
    const { exitCode } = await runInLab(options);
    assert.equal(exitCode, 7);
    assert.doesNotMatch(options.stdout.text, /secret/);
  });

  test("a line of init's that somebody says again", async () => {
    const error = await failure(
      script(
        'svm',
        `line=$(busybox dmesg | busybox sed -n 's/.*\\(@kvm-dsm ready .*\\)/\\1/p'); echo "<0>$line" >/dev/kmsg; exit 7`,
      ),
    );
    assert.equal(error.code, 'ERR_LAB_MARK');
    assert.equal(error.exitCode, 1);
    assert.match(error.message, /what its init never tells: ready: it has been said before/);
  });

  test('a frozen machine', async () => {
    const options = script('svm', 'echo running; cat /lab/never');
    options.cmdline = 'silent-test';
    options.limits = { silentSeconds: 2 };
    const run = failure(options);
    await Promise.race([run, options.stdout.seen('running')]);
    // To the guest's outside a stopped emulator looks like one whose guest keeps it from all else.
    for (const pid of emulatorsOf(process.pid)) {
      if (cmdline(pid).includes('silent-test')) process.kill(pid, 'SIGSTOP');
    }
    const error = await run;
    assert.equal(error.code, 'ERR_LAB_FROZEN');
    assert.equal(error.exitCode, 1);
    assert.match(error.message, /froze: no sign of life for \d+ s/);
    assert.match(error.message, /^ {2}thread \d+ \(qemu-.*\), T \(stopped\)/m, 'where the emulator is');
  });

  test('a command that does not end in a machine that lives', async () => {
    const options = script('svm', 'cat /lab/never');
    options.timeoutSeconds = 1;
    options.limits = { graceSeconds: 1 };
    const error = await failure(options);
    assert.equal(error.code, 'ERR_LAB_DEADLINE');
    assert.equal(error.exitCode, 1);
    assert.match(error.message, /the command had 1 s and did not end/);
  });

  test('a machine that powers itself off', async () => {
    const error = await failure(script('vmx', 'busybox poweroff -f'));
    assert.equal(error.code, 'ERR_LAB_STOPPED');
    assert.equal(error.exitCode, 1);
    assert.ok(error.log?.some((line) => line.includes('Power down')));
  });

  test('an emulator that is killed', async () => {
    const options = script('svm', 'echo running; cat /lab/never');
    options.cmdline = 'kill-test';
    const run = failure(options);
    await Promise.race([run, options.stdout.seen('running')]);
    for (const pid of emulatorsOf(process.pid)) if (cmdline(pid).includes('kill-test')) process.kill(pid, 'SIGKILL');
    const error = await run;
    assert.equal(error.code, 'ERR_LAB_STOPPED');
    assert.match(error.message, /signal SIGKILL/);
  });

  test('an emulator that crashes', async () => {
    const options = script('svm', 'echo running; cat /lab/never');
    options.cmdline = 'crash-test';
    const run = failure(options);
    await Promise.race([run, options.stdout.seen('running')]);
    for (const pid of emulatorsOf(process.pid)) if (cmdline(pid).includes('crash-test')) process.kill(pid, 'SIGABRT');
    const error = await run;
    assert.equal(error.code, 'ERR_LAB_ABORT');
    assert.equal(error.exitCode, 1);
    assert.match(error.message, /^qemu \d\S* itself crashed \(signal SIGABRT\)/);
  });

  test("a kernel that cannot read the lab's disk", async () => {
    const options = script('svm', 'true');
    options.cmdline = 'initcall_blacklist=init_iso9660_fs';
    const error = await failure(options);
    assert.equal(error.code, 'ERR_LAB_BOOT');
    assert.equal(error.exitCode, 3);
    assert.match(error.message, /cannot read the lab's disk: it found the disks vda/);
    assert.match(error.advice, /CONFIG_ISO9660_FS/);
  });

  test('a kernel image that does not come up', async () => {
    const { kernel } = await buildLab({});
    const image = readFileSync(kernel);
    // The compressed kernel's second half is gone: its own unpacker notices.
    image.fill(0, image.length >> 1);
    const options = script('svm', 'true');
    options.kernel = join(dir, 'broken');
    writeFileSync(options.kernel, image);
    options.limits = { bootSeconds: 3 };
    const words: string[] = [];
    options.report = (line) => words.push(line);
    const error = await failure(options);
    assert.equal(error.code, 'ERR_LAB_BOOT');
    assert.equal(error.exitCode, 3);
    assert.match(error.message, /did not reach user space within \d+ s|stopped while it booted/);
    assert.ok(words.some((line) => line.includes('booting once more with its log turned on')));
  });

  test('a file that is no kernel, before anything is booted', async () => {
    const options = script('svm', 'true');
    options.kernel = '/bin/sh';
    const error = await failure(options);
    assert.equal(error.code, 'ERR_LAB_KERNEL_IMAGE');
    assert.equal(error.exitCode, 2);
  });

  test('an emulator that is not there, or is for the other lane', async () => {
    const { kernel } = await buildLab({});
    for (const [emulator, words] of [
      ['/no/such/emulator', /is not there/],
      ['/usr/bin/bochs', /is bochs, and the svm lane needs qemu/],
      ['/bin/true', /is neither Bochs nor QEMU/],
    ] as const) {
      const error = await failure({ ...script('svm', 'true'), kernel, emulator });
      assert.equal(error.code, 'ERR_LAB_EMULATOR');
      assert.match(error.message, words);
    }
  });
});

function cmdline(pid: number): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
}
