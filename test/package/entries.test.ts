/** Each entry of the package, as a program that has installed it sees it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { root } from '../support/command.ts';
import { surfaceOf } from '../support/surface.ts';
import { testFolder } from '../support/test-folder.ts';

const work = testFolder();
mkdirSync(join(work, 'node_modules'));
symlinkSync(root, join(work, 'node_modules/kvm-dsm'));

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { import: { types: string; default: string } }>;
};
/** `kvm-dsm`, `kvm-dsm/kvm`, ... */
const entries = Object.entries(exports)
  .filter(([, target]) => typeof target !== 'string')
  .map(([path]) => `kvm-dsm${path.slice(1)}`);

/** Its types are vitest's, which are not whole without those of vite and of Node.js. */
const VITEST = 'kvm-dsm/vitest';

function run(command: string, args: readonly string[], cwd = work): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 0, `${command} ${args.join(' ')}\n${error ?? ''}${stdout}${stderr}`);
  return stdout;
}

/** Of the version that this one follows; what is not an interface of programs is left out there. */
const before = readFileSync(join(root, 'test/package/surface-0.1.0.txt'), 'utf8').trimEnd().split('\n');
const typesBefore = before.flatMap((line) => /^type (\w+)$/.exec(line)?.[1] ?? []);

test('nothing that 0.1.0 offered has gone from kvm-dsm', async () => {
  const now = new Set(surfaceOf((await import(join(root, 'dist/index.js'))) as object));
  const values = before.filter((line) => !line.startsWith('type '));
  assert.ok(values.length > 550, `${values.length} lines`);
  assert.deepEqual(
    values.filter((line) => !now.has(line)),
    [],
  );
});

describe('types', () => {
  const options = {
    strict: true,
    module: 'nodenext',
    moduleResolution: 'nodenext',
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    // No types of Node.js: the package's own are enough.
    types: [],
    noEmit: true,
    skipLibCheck: false,
  };
  /** This checkout's, and the oldest that the types are for: that of package.json's peer dependency. */
  const compilers = ['package.json', 'tools/reference/package.json'].map((from) => {
    const require = createRequire(join(root, from));
    return {
      version: (require('typescript/package.json') as { version: string }).version,
      tsc: join(dirname(require.resolve('typescript/package.json')), 'bin/tsc'),
    };
  });
  const compile = (name: string, text: string, { tsc } = compilers[0]!) => {
    const dir = join(work, name);
    mkdirSync(dir);
    writeFileSync(join(dir, 'use.mts'), text);
    writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: ['use.mts'] }));
    run(process.execPath, [tsc, '-p', dir]);
  };

  test('no type that 0.1.0 had has gone from kvm-dsm', () => {
    assert.ok(typesBefore.length > 100, `${typesBefore.length} types`);
    compile('root', `export type { ${typesBefore.join(', ')} } from 'kvm-dsm';\n`);
  });

  test('the oldest TypeScript is the one that package.json states', () => {
    const { peerDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      peerDependencies: { typescript: string };
    };
    assert.equal(`>=${compilers[1]!.version.replace(/\.\d+$/, '')}`, peerDependencies.typescript);
  });

  for (const compiler of compilers)
    test(`every entry has types, by TypeScript ${compiler.version}`, () => {
      const own = entries.filter((entry) => entry !== VITEST);
      const names = own.map((entry, index) => `import * as entry${index} from '${entry}';`);
      const uses = own.map((_, index) => `void entry${index};`);
      const script = `
        import { asm, GuestMemory, machine } from 'kvm-dsm';
        const bytes: Uint8Array = GuestMemory.allocate(4096).read(0, 4);
        await using m = await machine({ vcpus: 2 });
        m.vcpu(0).program(asm.flat32\`hlt\`);
        void bytes;`;
      compile(`entries-${compiler.version}`, [...names, ...uses, script, ''].join('\n'), compiler);
    });

  test('the declarations hold by themselves, and have no internals', () => {
    const internals = [
      'new kit.Vm()',
      'new kit.Device()',
      'new kit.SintLine()',
      'memory.native',
      'event.native',
      'vm.onAct',
    ];
    const lines = [
      ...entries.filter((entry) => entry !== VITEST).map((entry) => `import '${entry}';`),
      `import * as kit from 'kvm-dsm';`,
      'declare const vm: kit.Vm, memory: kit.GuestMemory, event: kit.EventFd;',
      'void [vm.slots, memory.size, event.closed];',
      ...internals.flatMap((internal) => ['// @ts-expect-error', `void ${internal};`]),
      '',
    ];
    compile('internals', lines.join('\n'));
  });
});

test('`import` and `require` of each entry give one and the same module', () => {
  writeFileSync(
    join(work, 'same.cjs'),
    `const names = ${JSON.stringify(entries)};
     (async () => {
       for (const name of names) {
         const required = require(name);
         const imported = await import(name);
         const own = Object.keys(imported).filter((key) => !['default', 'module.exports'].includes(key));
         if (own.length === 0) throw new Error(name + ' exports nothing');
         for (const key of own) if (required[key] !== imported[key]) throw new Error(name + ' has two ' + key);
       }
       console.log(names.length);
     })();`,
  );
  assert.equal(run(process.execPath, ['--no-warnings', 'same.cjs']).trim(), String(entries.length));
});

describe('the packed package', () => {
  const tarball = () => {
    const args = ['pack', '--ignore-scripts', '--json', '--pack-destination', work];
    const [{ filename }] = JSON.parse(run('npm', args, root)) as [{ filename: string }];
    return join(work, filename);
  };
  const tool = (name: string) => join(root, 'node_modules/.bin', name);

  test('publint and attw find nothing wrong, for no entry', () => {
    const packed = tarball();
    assert.match(run(tool('publint'), ['run', packed, '--strict']), /All good/);
    assert.match(run(tool('attw'), [packed, '--format', 'ascii']), /No problems found/);
  });
});
