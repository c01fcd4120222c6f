/** The pseudo-terminal of an emulator, which somebody has to read. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { dropScreen } from '../../../lib/lab/boot/screen.ts';

/** Opens a pseudo-terminal, as Bochs does, and writes more to it than it holds. The number is TIOCSPTLCK. */
const writer = `
  open(my $terminal, '+<', '/dev/ptmx') or die $!;
  my $unlocked = pack('i', 0);
  ioctl($terminal, 0x40045431, $unlocked) or die $!;
  $| = 1;
  print "open";
  for (1 .. 256) { syswrite($terminal, "a line\\n" x 500) or die $! }
`;

const files = () => readdirSync('/proc/self/fd').length;

test('what a process writes to its pseudo-terminal is read until it ends', { timeout: 30_000 }, async () => {
  const before = files();
  const child = spawn('perl', ['-e', writer], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  await once(child.stdout, 'data');
  const screen = dropScreen(child.pid!);
  const [code] = await ended;
  assert.equal(code, 0);
  screen.close();
  assert.ok(files() <= before, 'a file is left open');
});

test('a process without one, and none at all', () => {
  dropScreen(process.pid).close();
  dropScreen(0).close();
});
