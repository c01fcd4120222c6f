/** The documents' commands that `npm test` leaves out, beside the reviews. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { longCommands } from '../support/long-commands.ts';

for (const [command, codes] of longCommands)
  if (!command.includes(' review '))
    test(command, { skip: labMissing() }, () => {
      const { code, stdout, stderr } = kvmDsm(command.split(' ').slice(2), 600);
      assert.ok(codes.includes(code!), `${code}: ${stdout}${stderr}`);
    });
