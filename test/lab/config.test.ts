/** `lab build --kernel-src --config`: what is given reaches make, and belongs to the name that the kernel has in the cache. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { buildLab } from '../../lib/lab/index.ts';
import { kvmDsm } from '../support/command.ts';
import { compilerMissing, labMissing } from '../support/lab.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();

/** A tree that make is quick with: its image is a copy, and its configuration is what it is given, but for one symbol. */
async function quickTree(): Promise<string> {
  const { kernel } = await buildLab({});
  const config = `grep -v '^CONFIG_NOT_HERE=' $(KCONFIG_ALLCONFIG) >$(O)/.config`;
  const image = `mkdir -p $(O)/arch/x86/boot && cp ${kernel} $(O)/arch/x86/boot/bzImage`;
  const files = {
    Kbuild: '',
    'arch/x86/kvm/Kconfig': 'config KVM_DSM_IRQ_FORWARD\n\nconfig KVM_DSM\n\tdepends on INET\n',
    Makefile: `VERSION = 7\nPATCHLEVEL = 1\nSUBLEVEL = 0\nallnoconfig:\n\t${config}\nbzImage:\n\t${image}\n`,
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(work, 'tree', path)), { recursive: true });
    writeFileSync(join(work, 'tree', path), text);
  }
  return join(work, 'tree');
}

describe('a kernel of a tree, with a configuration of the user', {
  skip: labMissing() || compilerMissing(),
  timeout: 300_000,
}, () => {
  test('each has a name of its own; the tree is told by its series', async () => {
    const tree = await quickTree();
    const cache = ['env', `XDG_CACHE_HOME=${join(work, 'cache')}`];
    const build = (...config: string[]) =>
      kvmDsm(['lab', 'build', '--kernel-src', tree, ...config.flatMap((one) => ['--config', one])], 120, cache);
    const plain = build();
    assert.equal(plain.code, 0, plain.stderr);
    assert.match(plain.stderr, /Linux 7\.1\.0 with CONFIG_KVM_DSM_IRQ_FORWARD and CONFIG_KVM_DSM: --profile gvm-main/);
    const fragment = join(work, 'more.config');
    writeFileSync(fragment, 'CONFIG_MORE=y\nCONFIG_NOT_HERE=y\n');
    const more = build(fragment, 'CONFIG_KVM_DSM=n');
    assert.equal(more.code, 0, more.stderr);
    assert.match(more.stderr, /CONFIG_NOT_HERE=y was not taken/);
    assert.notEqual(more.stdout, plain.stdout);
    const config = readFileSync(join(dirname(more.stdout.trim()), 'config'), 'utf8');
    assert.match(config, /\nCONFIG_MORE=y\n[\s\S]*CONFIG_KVM_DSM=n\n/);
    const again = build(fragment, 'CONFIG_KVM_DSM=n');
    assert.deepEqual([again.code, again.stdout], [0, more.stdout]);
    assert.doesNotMatch(again.stderr, /configure/);
    const refused = build('NOT_HERE=y');
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /does not take CONFIG_NOT_HERE=y:[\s\S]*\[ERR_LAB_CONFIG\]/);
  });
});
