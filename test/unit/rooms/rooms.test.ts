/** Who may import whom in lib/: docs/architecture.md draws it, this table decides it. Type imports count. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, test } from 'node:test';
import { root } from '../../support/command.ts';

const lib = join(root, 'lib');

/** Each room, and the rooms below it that it may import. */
const rooms: Record<string, readonly string[]> = {
  base: [],
  host: ['base'],
  abi: ['base'],
  exit: ['base', 'abi'],
  apic: ['base', 'abi', 'exit'],
  kvm: ['base', 'host', 'abi', 'exit', 'apic'],
  hyperv: ['base', 'abi', 'exit', 'kvm'],
  guest: ['base', 'abi', 'exit', 'apic', 'kvm'],
  probe: ['base', 'host', 'abi', 'exit', 'apic', 'kvm', 'guest'],
  snapshot: ['base', 'abi', 'exit', 'kvm', 'hyperv'],
  trace: ['base', 'abi', 'exit', 'apic', 'kvm', 'guest'],
  node: ['base', 'abi', 'exit', 'apic', 'kvm'],
  picture: ['base', 'abi', 'exit', 'apic', 'guest', 'node', 'trace'],
  schedule: ['base', 'abi', 'exit', 'kvm', 'guest'],
  script: [
    'base',
    'host',
    'abi',
    'exit',
    'apic',
    'kvm',
    'node',
    'hyperv',
    'guest',
    'probe',
    'snapshot',
    'trace',
    'picture',
    'schedule',
  ],
  suite: [
    'base',
    'host',
    'abi',
    'exit',
    'apic',
    'kvm',
    'hyperv',
    'guest',
    'probe',
    'snapshot',
    'trace',
    'picture',
    'script',
  ],
  lab: ['base', 'host'],
  target: ['base', 'host', 'abi', 'kvm', 'probe', 'lab'],
  inspect: ['base', 'host', 'abi', 'exit', 'kvm', 'hyperv', 'guest', 'probe', 'target'],
  doctor: ['base', 'host', 'abi', 'exit', 'kvm', 'probe', 'lab', 'target'],
  kut: ['base', 'host', 'abi', 'exit', 'kvm', 'hyperv', 'guest', 'target'],
  runner: [
    'base',
    'host',
    'abi',
    'exit',
    'kvm',
    'node',
    'guest',
    'probe',
    'trace',
    'picture',
    'script',
    'suite',
    'lab',
    'target',
  ],
  explore: ['base', 'host', 'abi', 'exit', 'apic', 'kvm', 'guest', 'probe', 'picture', 'lab', 'runner', 'target'],
  review: ['base', 'host', 'abi', 'suite', 'lab', 'target', 'runner'],
};
/** What may import every room: the command line, and what programs import. */
const top = ['cli', 'faces', 'index.ts'];

/** The classes whose parts know neither the front nor each other: only what stands in `shared`. */
const fronts = [
  { folder: 'kvm/vm', front: 'vm.ts', shared: ['host.ts', 'acts.ts', 'errors.ts'] },
  { folder: 'kvm/vcpu', front: 'vcpu.ts', shared: ['host.ts', 'errors.ts'] },
];

const files = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .sort();

/** What a file imports of lib/, as paths below it. `import()` and types count. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(lib, file), 'utf8');
  const found = text.matchAll(/(?:^import |\bfrom |\bimport\()'(\.{1,2}\/[^']*)'/gm);
  return [...found]
    .map(([, path]) => normalize(join(dirname(file), path!)))
    .filter((path) => !path.startsWith('..') && path.endsWith('.ts'));
}

const imports = new Map(files.map((file) => [file, importsOf(file)]));
const roomOf = (file: string) => file.split('/', 1)[0]!;

describe('the rooms of lib/', () => {
  test('lib/ holds folders and index.ts', () => {
    const loose = readdirSync(lib, { withFileTypes: true }).filter((entry) => !entry.isDirectory());
    assert.deepEqual(
      loose.map(({ name }) => name),
      ['index.ts'],
    );
  });

  test('every room is in the table, and the table has no other', () => {
    const found = new Set(files.filter((file) => file.includes('/')).map(roomOf));
    assert.deepEqual([...found].sort(), [...Object.keys(rooms), 'cli', 'faces'].sort());
  });

  test('a room imports only what the table allows', () => {
    const wrong = files
      .filter((file) => !top.includes(roomOf(file)))
      .flatMap((file) =>
        imports
          .get(file)!
          .filter((to) => roomOf(to) !== roomOf(file) && !rooms[roomOf(file)]?.includes(roomOf(to)))
          .map((to) => `${file} -> ${to}`),
      );
    assert.deepEqual(wrong, []);
  });

  test('the table has no circle', () => {
    const order: string[] = [];
    for (const [room, below] of Object.entries(rooms)) {
      assert.deepEqual(
        below.filter((name) => !order.includes(name)),
        [],
        `${room} stands above what it imports`,
      );
      order.push(room);
    }
  });

  test('no two exported types share a name', () => {
    const names = files.flatMap((file) => {
      const found = readFileSync(join(lib, file), 'utf8').matchAll(
        /^export (?:abstract )?(?:class|interface|type) (\w+)/gm,
      );
      return [...found].map(([, name]) => name!);
    });
    assert.deepEqual(
      names.filter((name, index) => names.indexOf(name) !== index),
      [],
    );
  });

  test('no files import each other in a circle', () => {
    assert.deepEqual(circles(), []);
  });

  for (const { folder, front, shared } of fronts)
    test(`${folder}: parts import neither ${front} nor each other`, () => {
      const parts = files.filter((file) => dirname(file) === folder && relative(folder, file) !== front);
      const wrong = parts.flatMap((file) =>
        imports
          .get(file)!
          .filter((to) => dirname(to) === folder && !shared.includes(relative(folder, to)))
          .map((to) => `${file} -> ${to}`),
      );
      assert.deepEqual(wrong, []);
    });
});

/** Tarjan's strongly connected components of more than one file. */
function circles(): string[][] {
  const found: string[][] = [];
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const visit = (file: string): void => {
    index.set(file, index.size);
    low.set(file, index.get(file)!);
    stack.push(file);
    for (const to of imports.get(file) ?? []) {
      if (!index.has(to)) {
        visit(to);
        low.set(file, Math.min(low.get(file)!, low.get(to)!));
      } else if (stack.includes(to)) low.set(file, Math.min(low.get(file)!, index.get(to)!));
    }
    if (low.get(file) !== index.get(file)) return;
    const members = stack.splice(stack.indexOf(file));
    if (members.length > 1) found.push(members.sort());
  };
  for (const file of files) if (!index.has(file)) visit(file);
  return found;
}
