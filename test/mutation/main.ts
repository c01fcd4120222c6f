/**
 * Mistakes in the code, one at a time: which of them do the unit tests notice? Of the model of the local APIC, of the numbers and layouts of the
 * ABI, and of the decoder of exits: `npm run mutate`, or `npm run mutate -- apic`. Stryker is fetched for it, and is no part of what
 * `npm ci` installs. Writes docs/mutation.md, of each room what was found last.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pageOf, type Report, scoreOf } from './page.ts';

const ROOMS = ['apic', 'abi', 'exit'];
/** Of all that can be noticed, in percent. */
const AIM = 85;
const VERSION = '9.6.1';

const root = join(import.meta.dirname, '../..');
const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'kvm-dsm-mutation');
const [asked, ...more] = process.argv.slice(2);
if (more.length > 0 || (asked !== undefined && asked !== '--recorded' && !ROOMS.includes(asked))) {
  console.error(`usage: npm run mutate [-- ${ROOMS.join(' | ')} | --recorded]`);
  process.exit(2);
}

for (const room of asked === '--recorded' ? [] : asked === undefined ? ROOMS : [asked]) {
  const packages = ['core', 'tap-runner'].flatMap((name) => ['--package', `@stryker-mutator/${name}@${VERSION}`]);
  const { status } = spawnSync('npx', ['--yes', ...packages, 'stryker', 'run', 'test/mutation/stryker.config.mjs'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, KVM_DSM_ROOM: room },
  });
  if (status !== 0) process.exit(status ?? 1);
}

const reportOf = (room: string) => join(folder, room, 'report.json');
const reports = ROOMS.filter((room) => existsSync(reportOf(room))).map(
  (room) => JSON.parse(readFileSync(reportOf(room), 'utf8')) as Report,
);
const { noticed, of } = scoreOf(reports);
writeFileSync(join(root, 'docs/mutation.md'), pageOf(reports));
const share = (100 * noticed) / of;
console.log(`${noticed} of ${of} mistakes noticed: ${share.toFixed(1)} %`);
process.exit(share >= AIM ? 0 : 1);
