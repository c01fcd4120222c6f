// The diagram that ends each report of a failure: its look, held by ten prepared failures (golden/*.txt).
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { diagram } from '../../../lib/picture/diagram.ts';
import { pictureOf } from '../../../lib/picture/picture.ts';
import { type PreparedRun, preparedRuns, preparedTarget, Scene } from '../../support/pictures.ts';

const golden = join(import.meta.dirname, 'golden');

/** With GOLDEN=write the files are made anew: look at what `git diff` says of them. */
function isAsGolden(name: string, text: string): void {
  const file = join(golden, `${name}.txt`);
  if (process.env.GOLDEN === 'write') writeFileSync(file, text);
  assert.equal(text, readFileSync(file, 'utf8'));
}

const drawn = ({ events, targets, focus }: PreparedRun) => diagram(pictureOf(events, targets), focus);

describe('prepared failures', () => {
  for (const [name, prepare] of Object.entries(preparedRuns))
    test(name, () => {
      const lines = drawn(prepare());
      isAsGolden(name, `${lines.join('\n')}\n`);
      for (const line of lines) {
        assert.ok(line.length <= 72, line);
        assert.match(line, /^[ -~]*$/, 'plain ASCII');
        assert.equal(line, line.trimEnd());
      }
      assert.ok(lines.length <= 60, `${lines.length} lines`);
    });
});

test('nothing is lost or doubled where all came', () => {
  const { events } = preparedRuns.lost!();
  const text = drawn({ events, targets: [preparedTarget(0), preparedTarget(1, { 240: 1 })] }).join('\n');
  assert.match(text, /->\|/);
  assert.doesNotMatch(text, /LOST|TWICE|[X*?]/);
});

test('of a vCPU that cannot be asked nothing is judged', () => {
  const { events } = preparedRuns.lost!();
  assert.match(drawn({ events, targets: [] }).join('\n'), /not judged, its state is not known/);
});

test('what a guest has written is no escape sequence, and no line is longer for it', () => {
  const name = `\x1b[31m${'long '.repeat(40)}`;
  const { events } = new Scene().word(0, { kind: 'sync', name }).word(1, { kind: 'sync', name: 'x'.repeat(200) });
  for (const line of drawn({ events, targets: [] })) assert.match(line, /^[ -~]{0,72}$/);
});

test('the window is around the event that it is about', () => {
  const scene = new Scene();
  for (let name = 0; name < 200; name++) scene.word(name % 2, { kind: 'sync', name });
  const text = drawn({ events: scene.events, targets: [], focus: 100 }).join('\n');
  assert.match(text, /#100 /);
  assert.match(text, /\.\.\. \d+ events before/);
  assert.match(text, /\.\.\. \d+ events behind/);
  assert.doesNotMatch(text, /#199/);
});

test('an IPI that names nobody says so', () => {
  const { events } = new Scene().icr(0, 0x4400, 5);
  assert.match(drawn({ events, targets: [preparedTarget(0)] }).join('\n'), /NMI to id 5 \(nobody\)/);
});

test('an empty trace has none', () => {
  assert.deepEqual(drawn({ events: [], targets: [preparedTarget(0)] }), []);
});
