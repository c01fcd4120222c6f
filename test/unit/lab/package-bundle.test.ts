/** What the data disk holds of the package comes with the code that V8 has compiled of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { bundlePackage } from '../../../lib/lab/disk/package-bundle.ts';
import { testFolder } from '../../support/test-folder.ts';

const work = testFolder();

/** Loads both in a process of its own, as the machine does, and tells what V8 did with the code of each. */
const tell = (dir: string) => `
  const vm = require('node:vm');
  const seen = {};
  vm.Script = class extends vm.Script {
    constructor(text, options) {
      super(text, options);
      seen[require('node:path').basename(options.filename)] = this.cachedDataRejected;
    }
  };
  const names = Object.keys(require('${dir}/load.cjs').publicModules);
  const { Decoder } = require('${dir}/node_modules/iced-x86');
  const [instruction] = new Decoder(32, new Uint8Array([0x90]), 0).decodeAll();
  console.log(JSON.stringify({ seen, names: names.length > 0, length: instruction.length }));
`;

test('V8 takes the kept code of the package and of iced-x86, and what it loads works', async () => {
  await bundlePackage(work);
  const env = { ...process.env, NODE_OPTIONS: '' };
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', tell(work)], { env, encoding: 'utf8' });
  assert.deepEqual(
    JSON.parse(stdout || 'null'),
    { seen: { 'package.cjs': false, 'iced_x86.code.cjs': false }, names: true, length: 1 },
    stderr,
  );
});
