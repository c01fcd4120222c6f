// npm run release [-- --publish]: checks that this checkout is what is to be published, packs it, checks the packed file, and says how
// to publish it. Publishes only with --publish.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values } = parseArgs({
  options: { publish: { type: 'boolean', default: false }, out: { type: 'string' } },
});
const { name, version, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** What the package may take, unpacked, without its prebuilds: test/package/files.test.ts says the same. */
const mostBytes = 1_000_000;

class Unready extends Error {}

function run(command, args, cwd = root) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Unready(`${command} ${args.join(' ')} failed:\n${error ?? ''}${stdout}${stderr}`);
  return stdout;
}

function insist(good, otherwise) {
  if (!good) throw new Unready(otherwise);
}

/** Before anything is built. */
function checkSources() {
  const changed = run('git', ['status', '--porcelain']);
  insist(changed === '', `The tree is not clean; commit or remove:\n${changed}`);
  const tag = `v${version}`;
  const tags = run('git', ['tag', '--list', tag]).trim();
  insist(
    tags === '' || run('git', ['rev-list', '-n', '1', tag]) === run('git', ['rev-parse', 'HEAD']),
    `${tag} is another commit: raise the version in package.json.`,
  );
  const changes = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  insist(
    changes.split('\n').some((line) => line === `## ${version}` || line.startsWith(`## ${version} `)),
    `CHANGELOG.md has no entry "## ${version}": name its "Unreleased" so.`,
  );
}

/** What `npm pack` made. */
function checkPacked(tarball, { files }) {
  const own = files.filter(({ path }) => !path.startsWith('prebuilds/'));
  const bytes = own.reduce((sum, { size }) => sum + size, 0);
  insist(bytes <= mostBytes, `The package takes ${bytes} bytes without its prebuilds, and may take ${mostBytes}.`);
  const prebuilds = files.filter(({ path }) => path.startsWith('prebuilds/'));
  for (const wanted of [
    'linux-x64/kvm-dsm.glibc.node',
    'linux-x64/kvm-dsm.musl.node',
    'linux-arm64/kvm-dsm.glibc.node',
    'linux-arm64/kvm-dsm.musl.node',
  ])
    insist(
      prebuilds.some(({ path }) => path === `prebuilds/${wanted}`),
      `The package has no prebuild ${wanted}.`,
    );
  const tool = (command) => join(root, 'node_modules/.bin', command);
  run(tool('publint'), ['run', tarball, '--strict']);
  run(tool('attw'), [tarball, '--format', 'ascii']);
  return { bytes, prebuilds };
}

/** A kind of archive that is the same for the same files: npm writes no times of this machine. */
function pack(out) {
  const [packed] = JSON.parse(run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', out]));
  return { packed, tarball: join(out, packed.filename) };
}

function main() {
  checkSources();
  const out = values.out ?? mkdtempSync(join(tmpdir(), `${name}-${version}-`));
  mkdirSync(out, { recursive: true });
  rmSync(join(root, 'prebuilds'), { recursive: true, force: true });
  run('npm', ['run', 'build:lib']);
  run('npm', ['run', 'prebuilds', '--', '--all']);
  const { packed, tarball } = pack(out);
  const { bytes, prebuilds } = checkPacked(tarball, packed);
  const sbom = join(out, `${name}-${version}.cdx.json`);
  writeFileSync(sbom, run('npm', ['run', '--silent', 'sbom']));
  const sum = createHash('sha256').update(readFileSync(tarball)).digest('hex');
  writeFileSync(join(out, 'SHA256SUMS'), `${sum}  ${packed.filename}\n`);
  console.log(`${tarball}
  unpacked  ${bytes} bytes, and ${prebuilds.reduce((all, { size }) => all + size, 0)} bytes of prebuilds
  SHA-256   ${sum}
  SBOM      ${sbom}

Whether it works is what the tests say, and they were not run here: npm test, npm run full.`);
  if (repository === undefined) {
    const lack = 'package.json names no repository, which --provenance compares with the one that publishes.';
    insist(!values.publish, lack);
    console.log(lack);
  }
  const publish = ['publish', tarball, '--provenance', '--access', 'public'];
  if (values.publish) console.log(run('npm', publish));
  else
    console.log(
      `Publish it from the CI of a public repository, which is what npm's provenance attests:\n  npm ${publish.join(' ')}`,
    );
}

try {
  main();
} catch (error) {
  if (!(error instanceof Unready)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
