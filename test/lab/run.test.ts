/** What a command in a machine of the lab gets, and what comes back. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Writable } from 'node:stream';
import { after, describe, test } from 'node:test';
import { LabInterruptedError, nodeInside, packageInside, runInLab } from '../../lib/lab/index.ts';
import { labMissing } from '../support/lab.ts';
import { emulatorsOf, Sink, script } from './boot.ts';

const skip = labMissing();

describe('runInLab', { skip, concurrency: 2, timeout: 300_000 }, () => {
  after(() => assert.deepEqual(emulatorsOf(process.pid), [], 'no emulator is left'));

  for (const [lane, bytes, code] of [
    ['svm', 1 << 20, 3],
    ['vmx', 1 << 16, 7],
  ] as const) {
    test(`${lane}: passes the exit code, both streams byte for byte, environment, files and /dev/kvm`, async () => {
      const blob = randomBytes(bytes);
      const options = script(
        lane,
        `echo "$GREETING" >&2
        [ -c /dev/kvm ] && echo "kvm on $KVM_DSM_LANE" >&2
        [ -d /sys/kernel/debug/kvm ] && touch /tmp/x && echo mounts >&2
        cat /run/blob
        exit ${code}`,
      );
      options.env = { GREETING: "it's ünïcode: \u{1f427}\t$HOME" };
      options.files = [{ path: '/run/blob', data: blob }];
      const { exitCode } = await runInLab(options);
      assert.equal(options.stderr.text, `${options.env.GREETING}\nkvm on ${lane}\nmounts\n`);
      assert.ok(options.stdout.bytes.equals(blob), `${options.stdout.bytes.length} of ${bytes} bytes, or not the same`);
      assert.equal(exitCode, code);
    });
  }

  test('streams output while the command runs, and an abort ends the machine', async () => {
    const options = script('svm', 'echo first; echo other >&2; cat /lab/never');
    const abort = new AbortController();
    options.signal = abort.signal;
    // Were the output kept back until the end, this would end by its deadline.
    options.timeoutSeconds = 60;
    const run = runInLab(options);
    await Promise.race([run, Promise.all([options.stdout.seen('first\n'), options.stderr.seen('other\n')])]);
    abort.abort();
    await assert.rejects(run, LabInterruptedError);
  });

  test('runs the package itself: its command, its addon, and a script that imports it by name', async () => {
    const options = script('svm', 'cd /run && kvm-dsm --version && node /run/script.mjs');
    options.files = [
      {
        path: '/run/script.mjs',
        data: "import { Kvm } from 'kvm-dsm'; const kvm = Kvm.open(); console.log(typeof kvm); kvm.close();",
      },
    ];
    const { exitCode } = await runInLab(options);
    assert.equal(options.stderr.text, '');
    assert.match(options.stdout.text, /^\d+\.\d+\.\d+\nobject\n$/);
    assert.equal(exitCode, 0);
  });

  test('a machine knows its lane, and the lanes that there are', async () => {
    const options = script('svm', 'kvm-dsm doctor --on host | head -1; kvm-dsm doctor --on nowhere; true');
    await runInLab(options);
    assert.match(options.stdout.text, /^on the svm lab \(KVM-AMD under QEMU\), Linux \S+\n$/);
    assert.match(options.stderr.text, /'nowhere' is invalid\. Allowed choices are auto, host, vmx, svm\.\n$/);
  });

  test('svm: every process has two CPUs, and none of them is the first', async () => {
    const options = script('svm', 'nproc; grep Cpus_allowed_list /proc/self/status; taskset -p $PPID');
    await runInLab(options);
    assert.match(options.stdout.text, /^2\nCpus_allowed_list:\t1-2\npid \d+'s current affinity mask: 6\n$/);
  });

  test('svm: with the package WebAssembly is not compiled anew, as V8 would do', async () => {
    const node = `${nodeInside} --allow-natives-syntax /run/wasm-tier.mjs`;
    const options = script('svm', `${node} 60; ${node} 3 ${packageInside}/dist/index.js`);
    const data = readFileSync(new URL('scripts/wasm-tier.mjs', import.meta.url));
    options.files = [{ path: '/run/wasm-tier.mjs', data }];
    await runInLab(options);
    assert.equal(options.stdout.text, 'compiled anew\nas it was\n', options.stderr.text);
  });

  test("the user's kernel parameters stand behind the lab's own", async () => {
    const options = script('svm', 'cat /proc/cmdline');
    options.cmdline = 'panic=7 kvm_intel.enable_apicv=0';
    await runInLab(options);
    assert.match(options.stdout.text, /panic=-1 .*panic=7 kvm_intel\.enable_apicv=0\n$/);
  });

  test('a slow reader is waited for, longer than a machine may be silent, and gets every byte', async () => {
    const options = script('svm', 'yes | head -c 2000000');
    // A machine with other work stands still for seconds by itself.
    options.limits = { silentSeconds: 8 };
    let bytes = 0;
    const slow = new Writable({
      write(chunk: Buffer, _encoding, done) {
        // Once, and longer than a machine may be silent.
        if (bytes === 0) setTimeout(done, 20_000);
        else done();
        bytes += chunk.length;
      },
    });
    const { exitCode } = await runInLab({ ...options, stdout: slow });
    assert.equal(exitCode, 0);
    assert.equal(bytes, 2_000_000);
  });

  test('a reader that has gone is no hang', async () => {
    const options = script('svm', 'yes | head -c 300000; echo done >&2');
    const gone = new Sink();
    options.stdout = gone;
    const run = runInLab(options);
    await Promise.race([run, gone.seen('y')]);
    gone.destroy();
    await assert.rejects(run, LabInterruptedError);
  });
});
