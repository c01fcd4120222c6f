/** The configuration of a kernel built from a user's tree: what is read, what it hangs on, and what is told of it. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { LabError } from '../../../lib/lab/errors.ts';
import { buildLab } from '../../../lib/lab/index.ts';
import { checkConfig, configInput, readConfig } from '../../../lib/lab/kernel/config.ts';
import { definitionsOf, treeVersion } from '../../../lib/lab/kernel/kconfig.ts';
import { seriesOf } from '../../../lib/lab/kernel/series.ts';
import { testFolder } from '../../support/test-folder.ts';

const dir = testFolder();

function files(name: string, content: Record<string, string>): string {
  for (const [path, text] of Object.entries(content)) {
    mkdirSync(dirname(join(dir, name, path)), { recursive: true });
    writeFileSync(join(dir, name, path), text);
  }
  return join(dir, name);
}

const makefile = 'VERSION = 7\nPATCHLEVEL = 1\nSUBLEVEL = 0\nEXTRAVERSION = -rc3\nNAME = x\n';
const irqForward = 'config KVM_DSM_IRQ_FORWARD\n\tbool "x"\n\tdepends on KVM && KVM_INTEL\n';
const ioapic = 'config KVM_IOAPIC\n\tbool "x"\n\tdepends on KVM_X86\n\thelp\n\t  depends on nothing\n';
const tree = files('tree', {
  Makefile: makefile,
  'arch/x86/kvm/Kconfig': `${irqForward}\nconfig KVM_DSM\n\tbool "x"\n\tdepends on KVM_DSM_IRQ_FORWARD && INET\n\n${ioapic}`,
  'mm/Kconfig.debug': 'menuconfig PAGES\n\tbool\n\tdepends on A && \\\n\t  B\n\tdepends on C\n',
  'arch/arm/Kconfig': 'config ONLY_THERE\n\tbool\n',
});
const series = files('series', { 'arch/x86/kvm/Kconfig': irqForward });
const old = files('old', { 'arch/x86/kvm/Kconfig': 'config KVM_DSM\n\tbool\n' });

const machine = ['KVM_INTEL', 'KVM_AMD', 'BLK_DEV_INITRD', 'SERIAL_8250_CONSOLE', 'ISO9660_FS', 'BLK_DEV_SD'];
const always = [...machine, 'VIRTIO_BLK', 'DEVTMPFS', 'KVM_DSM_IRQ_FORWARD'];
/** A .config with those symbols on, beside what every lab kernel has. */
function dotConfig(...symbols: string[]): string {
  const path = join(dir, 'dot-config');
  writeFileSync(path, [...always, ...symbols].map((symbol) => `CONFIG_${symbol}=y\n`).join(''));
  return path;
}
const nothing = readConfig([]);

function refusal(what: () => unknown): { code: string; message: string } {
  try {
    what();
  } catch (error) {
    assert.ok(error instanceof LabError, String(error));
    assert.equal(error.exitCode, 2);
    return error;
  }
  assert.fail('it was not refused');
}

describe('what --config gives', () => {
  test('fragments and single symbols, the last one winning', () => {
    const fragment = join(dir, 'a.config');
    writeFileSync(fragment, '# words\n\nCONFIG_A=y\n# CONFIG_B is not set\nCONFIG_TEXT="a=b"\n');
    const { text, symbols } = readConfig(['A=n', fragment, 'CONFIG_B=8', 'C=m']);
    assert.deepEqual(
      [...symbols].map(([symbol, { value, inline }]) => [symbol, value, inline]),
      [
        ['A', 'y', false],
        ['B', '8', true],
        ['TEXT', '"a=b"', false],
        ['C', 'm', true],
      ],
    );
    assert.ok(text.endsWith('\nCONFIG_B=8\nCONFIG_C=m'), text);
    const input = configInput(tree, readConfig(['KVM_DSM=n']));
    assert.match(input, /\nCONFIG_KVM_DSM=y\n[\s\S]*\nCONFIG_KVM_DSM=n\n$/);
    assert.doesNotMatch(configInput(series, nothing), /^CONFIG_KVM_DSM=/m);
  });

  for (const [what, given, message] of [
    ['a file that is not there', 'no-such.config', /no-such\.config: there is no such file/],
    ['a folder', dir, /cannot be read \(EISDIR\)/],
    ['a file that is no fragment', join(tree, 'Makefile'), /Makefile:1: "VERSION = 7" sets no symbol/],
    ['a symbol without a value', 'CONFIG_A=', /--config CONFIG_A=: "CONFIG_A=" sets no symbol/],
  ] as const)
    test(`${what} is refused`, () => {
      const { code, message: told } = refusal(() => readConfig([given]));
      assert.equal(code, 'ERR_LAB_CONFIG');
      assert.match(told, message);
    });

  test('it is for a tree of the user', async () => {
    const error: unknown = await buildLab({ config: ['A=y'] }).catch((refused: unknown) => refused);
    assert.match(String(error), /options\.config is for a tree of your own, and no kernelSrc is given/);
  });
});

describe('a tree is told by its symbols', () => {
  test('its version and what it has of the series', () => {
    assert.equal(treeVersion(tree), '7.1.0-rc3');
    assert.equal(treeVersion(series), '');
    assert.deepEqual(
      [tree, series, old, files('stock', { 'arch/x86/kvm/Kconfig': ioapic })].map((path) => seriesOf(path)),
      [
        { symbols: ['KVM_DSM_IRQ_FORWARD', 'KVM_DSM'], profiles: 'gvm-main' },
        { symbols: ['KVM_DSM_IRQ_FORWARD'], profiles: 'rfc-v2 or fixed-v1' },
        { symbols: ['KVM_DSM'], profiles: 'gvm-old' },
        { symbols: [], profiles: '' },
      ],
    );
  });

  test('what a symbol hangs on', () => {
    assert.deepEqual(definitionsOf(tree, 'PAGES'), [{ file: 'mm/Kconfig.debug', dependsOn: ['A &&  B', 'C'] }]);
    assert.deepEqual(definitionsOf(tree, 'KVM_IOAPIC'), [{ file: 'arch/x86/kvm/Kconfig', dependsOn: ['KVM_X86'] }]);
    assert.deepEqual(definitionsOf(tree, 'ONLY_THERE'), []);
  });
});

describe('a configuration that came out', () => {
  test('has the series, the machine, and what KVM has split off', () => {
    assert.deepEqual(checkConfig(dotConfig('KVM_DSM', 'KVM_IOAPIC'), tree, nothing), []);
    assert.deepEqual(checkConfig(dotConfig(), series, nothing), []);
  });

  test('what it lost is told with what that hangs on, or that the tree has no such symbol', () => {
    const { code, message } = refusal(() => checkConfig(dotConfig(), tree, nothing));
    assert.equal(code, 'ERR_LAB_KERNEL_SOURCE');
    assert.match(message, /does not enable CONFIG_KVM_DSM, CONFIG_KVM_IOAPIC in .*tree \(Linux 7\.1\.0-rc3\):/);
    assert.match(message, /CONFIG_KVM_DSM is in arch\/x86\/kvm\/Kconfig and depends on KVM_DSM_IRQ_FORWARD && INET\n/);
    assert.match(message, /CONFIG_KVM_IOAPIC .* depends on KVM_X86; without it KVM_CREATE_IRQCHIP answers ENOTTY/);
    const bare = join(dir, 'bare');
    writeFileSync(bare, '');
    assert.match(refusal(() => checkConfig(bare, series, nothing)).message, /CONFIG_DEVTMPFS is in no Kconfig file/);
  });

  test('what --config takes away may be gone, unless no lab can do without', () => {
    const added = readConfig(['KVM_DSM=n', 'KVM_IOAPIC=n']);
    assert.deepEqual(checkConfig(dotConfig(), tree, added), []);
    const bare = join(dir, 'bare-amd');
    writeFileSync(
      bare,
      dotConfig() &&
        always
          .filter((name) => name !== 'KVM_AMD')
          .map((name) => `CONFIG_${name}=y\n`)
          .join(''),
    );
    const { code, message } = refusal(() => checkConfig(bare, series, readConfig(['KVM_AMD=n'])));
    assert.equal(code, 'ERR_LAB_CONFIG');
    assert.match(message, /does not enable CONFIG_KVM_AMD, which --config takes away/);
  });

  test('a symbol by name that the tree does not take is an error, one in a fragment is told', () => {
    const { code, message } = refusal(() => checkConfig(dotConfig(), series, readConfig(['PAGES=y', 'NR_CPUS=4'])));
    assert.equal(code, 'ERR_LAB_CONFIG');
    assert.match(
      message,
      /series does not take CONFIG_PAGES=y, CONFIG_NR_CPUS=4:\n {2}CONFIG_PAGES is in no Kconfig file/,
    );
    const fragment = join(dir, 'b.config');
    writeFileSync(fragment, 'CONFIG_PAGES=y\n# CONFIG_KVM_XEN is not set\nCONFIG_KVM_AMD=m\n');
    assert.deepEqual(checkConfig(dotConfig(), series, readConfig([fragment])), ['CONFIG_PAGES=y was not taken']);
  });
});
