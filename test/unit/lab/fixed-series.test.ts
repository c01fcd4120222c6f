/** kernel/fixed: mails that can be sent as they are, in the order in which they are applied. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { kernelInputs } from '../../../lib/lab/kernel/inputs.ts';
import { patchesOf } from '../../../lib/lab/kernel/own-series.ts';

const patches = patchesOf(kernelInputs(), 'fixed');

describe('the corrected series', () => {
  for (const [index, path] of patches.entries())
    test(basename(path, '.patch'), () => {
      const text = readFileSync(path, 'utf8');
      const split = text.indexOf('\n---\n');
      assert.ok(split > 0, 'it has a diffstat');
      const [head, body] = [text.slice(0, text.indexOf('\n\n')), text.slice(text.indexOf('\n\n'), split)];
      const from = /^From: (.+ <.+>)$/m.exec(head.replace(/\n /g, ' '))?.[1];
      assert.match(
        head,
        new RegExp(`^Subject: \\[PATCH 0?${index + 1}/${patches.length}\\] KVM: (x86|selftests): \\S`, 'm'),
      );
      assert.ok(body.endsWith(`\n\nSigned-off-by: ${from}`), 'its author signs it');
      for (const line of body.split('\n')) assert.ok(line.length <= 75 || line.startsWith('Signed-off-by:'), line);
    });
});
