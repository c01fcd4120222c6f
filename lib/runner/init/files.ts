/** What a new project of tests has in it. */

/** What of this package's own manifest goes into another one. */
export interface OwnManifest {
  readonly version: string;
  readonly devDependencies: Readonly<Record<string, string>>;
}

/** The files by their paths in the project's folder. */
export function projectFiles(name: string, own: OwnManifest): Readonly<Record<string, string>> {
  return {
    'package.json': asJson(manifestOf(name, own)),
    'tsconfig.json': asJson(tsconfig),
    'ipi.ts': firstTest,
    '.github/workflows/ipi.yml': workflow,
  };
}

/** A name that npm takes, from that of a folder. */
export function packageName(folder: string): string {
  const name = folder
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[._-]+|-+$/g, '');
  // Its own dependency cannot have the name of a package.
  return name === '' || name === 'kvm-dsm' ? 'ipi-tests' : name;
}

function manifestOf(name: string, { version, devDependencies }: OwnManifest): object {
  return {
    name,
    private: true,
    type: 'module',
    scripts: { check: 'kvm-dsm check ipi.ts', test: 'kvm-dsm run ipi.ts' },
    devDependencies: {
      '@types/node': devDependencies['@types/node'],
      'kvm-dsm': `^${version}`,
      'kvm-dsm-lab-kernel': `^${version}`,
      typescript: devDependencies.typescript,
    },
  };
}

const tsconfig = {
  compilerOptions: {
    target: 'es2022',
    lib: ['es2023', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    noEmit: true,
  },
  include: ['**/*.ts'],
};

const firstTest = `// vCPU 0 sends vCPU 1 an IPI; the test is over when vCPU 1 has handled it.
import { asm, done, idle, ipi, machine } from 'kvm-dsm';

await using m = await machine({ vcpus: 2, apic: 'xapic' });
m.vcpu(0).program(asm.flat32\`
    \${ipi({ to: 1, vector: 0xf0 })}
    \${done()}\`);
m.vcpu(1).program(asm.flat32\`\${idle()}\`);

const trace = await m.run({ until: { handled: 0xf0, vcpu: 1 }, deadline: '10s' });

// What the kernel has to tell a hypervisor that carries IPIs between machines.
trace.expectInOrder([
  { name: 'KVM_EXIT_DSM_SEND_IRQ', vcpu: 0, register: 'ICR2', destId: 1 },
  { name: 'KVM_EXIT_DSM_SEND_IRQ', vcpu: 0, register: 'ICR', icr: { vector: 0xf0, deliveryMode: 'fixed' } },
]);
m.expectExactlyOnce([0xf0]);
`;

const workflow = `# The tests in an emulated machine: no /dev/kvm is needed.
name: IPI tests
on: [push, pull_request]
jobs:
  ipi:
    runs-on: ubuntu-latest
    timeout-minutes: 20
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with:
          node-version: 22
      - run: npm install
      - run: npm run check
      # As root it installs the emulator and what else is missing.
      - run: sudo env "PATH=$PATH" npx kvm-dsm lab build
      - run: npm test -- --on svm
`;

function asJson(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
