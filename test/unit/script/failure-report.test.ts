// The parts of a failure's report that need no machine.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { type Exit, ExpectationError, Trace } from '../../../lib/index.ts';
import { kernelLog } from '../../../lib/script/failure/kernel-log.ts';

/** An `out` to each port, in order. */
function traceOf(...ports: number[]): Trace {
  const trace = new Trace();
  ports.forEach((port, seq) => {
    const exit = { name: 'KVM_EXIT_IO', reason: 2, direction: 'out', size: 1, port, count: 1, data: new Uint8Array(1) };
    trace.record({ seq, ns: seq, vcpu: 0, rip: 0x1000n, exit: exit as unknown as Exit });
  });
  return trace;
}

function failure(trace: Trace, ...ports: number[]): ExpectationError {
  try {
    trace.expect(ports.map((port) => ({ name: 'KVM_EXIT_IO', port })));
  } catch (error) {
    assert.ok(error instanceof ExpectationError);
    return error;
  }
  return assert.fail('nothing was thrown');
}

const firstLine = (error: Error): string => error.message.split('\n', 1)[0]!;

test('one too many in the midst: that one is named, and the rest is as expected', () => {
  const error = failure(traceOf(1, 2, 9, 3, 4), 1, 2, 3, 4);
  assert.match(firstLine(error), /^expected 4 exits, got 5: #2 vCPU 0 .*port 0x9.* is one too many$/);
  assert.deepEqual(error.message.split('\n').filter((line) => line.startsWith('!')).length, 1, error.message);
  assert.match(error.message, /^! - +\| #2 /m);
  assert.match(error.report, /^> .*#2 /m, 'the trace shows it');
});

test('several too many, and one that is missing', () => {
  assert.match(firstLine(failure(traceOf(1, 7, 7, 2), 1, 2)), /got 4: #1 .* is the first of 2 too many$/);
  const missing = failure(traceOf(1, 3), 1, 2, 3);
  assert.equal(firstLine(missing), 'expected 3 exits, got 2: KVM_EXIT_IO, port 2 is missing');
  assert.match(missing.message, /^! KVM_EXIT_IO, port 2 +\| -$/m);
});

test('another order is no wrong field', () => {
  assert.match(
    firstLine(failure(traceOf(1, 3, 2, 4), 1, 2, 3, 4)),
    /^wrong order: KVM_EXIT_IO, port 2 was expected as number 2 and came later, as #2; in its place came #1 .*port 0x3/,
  );
  assert.equal(
    firstLine(failure(traceOf(1, 0x30, 4), 1, 2, 4)),
    'exit 2 of 3 differs: port is 0x30, expected 2; it is #1',
  );
});

test('long lists are cut around what differs', () => {
  const ports = Array.from({ length: 500 }, (_, port) => port);
  const wrong = ports.with(400, 0x999);
  const { message } = failure(traceOf(...wrong), ...ports);
  assert.ok(message.split('\n').length < 25, message);
  assert.match(message, /^! KVM_EXIT_IO, port 0x190 +\| #400 .*port 0x999/m);
  assert.match(message, /^ {2}397 rows as expected$/m);
});

test('node prints a failure as its text', () => {
  const shown = inspect(failure(traceOf(1), 2));
  assert.match(shown, /^\s*trace: 1 of 1 events$/m);
});

test("the kernel's log: the lines of the time, as it has them; the lab's own are not", () => {
  const directory = mkdtempSync(join(tmpdir(), 'kmsg-'));
  try {
    const log = join(directory, 'kmsg');
    const second = 1_000_000_000n;
    writeFileSync(log, '4,17,5250000,-;kvm: guest wrote MSR 0x10\n SUBSYSTEM=x\n');
    assert.deepEqual(kernelLog(5n * second, 6n * second, log), ['[5.250000] kvm: guest wrote MSR 0x10']);
    assert.deepEqual(kernelLog(6n * second, 7n * second, log), []);
    assert.deepEqual(kernelLog(3n * second, 4n * second, log), []);
    writeFileSync(log, '4,17,5250000,-;@kvm-dsm alive 5.2\n');
    assert.deepEqual(kernelLog(5n * second, 6n * second, log), []);
    assert.match(String(kernelLog(0n, second, join(directory, 'none'))), /^cannot be read here: ENOENT/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
