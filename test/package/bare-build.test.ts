/** The build of the addon where there is no compiler, and no way to get one. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { addonNeeds } from '../../lib/lab/needs/addon.ts';
import { installCommand, packagesIn, thisDistribution } from '../../lib/lab/needs/distribution.ts';
import { root } from '../support/command.ts';
import { testFolder } from '../support/test-folder.ts';

const empty = testFolder();

test('it names what is missing and the packages that have it, and ends with 3', () => {
  const { stderr, status } = spawnSync(process.execPath, [join(root, 'tools/build-addon.mjs')], {
    cwd: empty,
    env: { PATH: empty },
    encoding: 'utf8',
    timeout: 60_000,
  });
  assert.match(stderr, /needs cmake, make, c\+\+\./);
  // Whatever distribution this is, and whatever it has installed: nothing that could tell is in that PATH.
  const { family } = thisDistribution();
  const packages = addonNeeds.flatMap((need) => packagesIn(family, need.packages));
  const told = family === undefined ? addonNeeds.map(({ name }) => name).join('; ') : installCommand(family, packages);
  assert.ok(stderr.includes(told), stderr);
  assert.equal(status, 3);
});
