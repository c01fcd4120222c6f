/** Several processes that explore, as the one that starts them sees them: each is a small program here. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { testFolder } from '../../support/test-folder.ts';

const program = join(testFolder(), 'explorer.mjs');
writeFileSync(
  program,
  `const say = (event) => process.stdout.write(JSON.stringify(event) + '\\n');
  const end = (histories, difference = null) => say({ type: 'end', document: { histories, ms: 10, difference } });
  const forever = () => setInterval(() => {}, 1000);
  const turn = Number(process.argv[3]);
  switch (process.argv[2] + turn) {
    case 'sound0': say({ type: 'progress', histories: 2, ms: 5 }); end(3); break;
    case 'sound1': end(4); break;
    case 'stray0': end(1); break;
    case 'stray1': end(2, { replay: 'once' }); break;
    case 'found0': say({ type: 'progress', histories: 7, ms: 5 }); forever(); break;
    case 'found1': say({ type: 'found' }); end(5, { replay: 'it' }); break;
    case 'lost0': forever(); break;
    case 'lost1': process.exit(3);
    case 'killed0': forever(); break;
    case 'killed1': process.kill(process.pid, 'SIGSEGV');
    case 'hang0': case 'hang1': say({ type: 'progress', histories: 1, ms: 1 }); forever();
  }`,
);
// A process of this very command is one of that program.
process.argv[1] = program;
const { exploreTogether } = await import('../../../lib/explore/crew.ts');

const explore = (what: string, signal = new AbortController().signal, onProgress = () => {}) =>
  exploreTogether(2, (turn) => [what, `${turn}`], signal, onProgress);

test('what they did is told together, and where they differ from the model', async () => {
  const { histories, ms, difference, perSecond } = await explore('sound');
  assert.deepEqual([histories, ms, difference, perSecond], [7, 10, null, 700]);
  assert.equal((await explore('stray')).difference?.replay, 'once');
});

test('the first difference ends the others, however long they would go on', async () => {
  const { difference } = await explore('found');
  assert.equal(difference?.replay, 'it');
});

test('one that ends without a word is told, with its exit code, and takes the others with it', async () => {
  await assert.rejects(explore('lost'), { code: 'ERR_EXPLORER_LOST', exitCode: 3, message: /exit code 3$/ });
  await assert.rejects(explore('killed'), { code: 'ERR_EXPLORER_LOST', exitCode: 1, message: /signal SIG/ });
});

test('a signal ends them all', async () => {
  const abort = new AbortController();
  const reason = new Error('Ctrl-C');
  await assert.rejects(
    explore('hang', abort.signal, () => abort.abort(reason)),
    reason,
  );
});
