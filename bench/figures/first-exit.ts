// How long the lab takes to the first decoded exit, beside how long it takes to boot the same image to a shell.
// Both are whole commands, in turns, so that a busy machine slows both.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { compare } from '../stats.ts';
import type { Figure } from './figure.ts';

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const aims: Record<string, number> = { svm: 3.5, vmx: 6 };

/** Seconds from the command's start until its output matches, and the command is done. */
function secondsUntil(args: string[], pattern: RegExp, input = ''): Promise<number> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    let seen: number | undefined;
    let output = '';
    const child = spawn(process.execPath, [command, ...args], { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end(input);
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (pattern.test(output)) seen ??= (performance.now() - start) / 1000;
    });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0 && seen !== undefined) resolve(seen);
      else reject(new Error(`${args.join(' ')} ended with ${code}:\n${output}`));
    });
  });
}

export async function firstExit(lane: 'svm' | 'vmx', runs: number): Promise<Figure[]> {
  const shell: number[] = [];
  const exit: number[] = [];
  for (let run = 0; run < runs; run++) {
    shell.push(await secondsUntil(['lab', 'shell', '--on', lane], /shell-is-1-up/, 'echo shell-is-$((1))-up\nexit\n'));
    exit.push(await secondsUntil(['run', 'examples/first-ipi.ts', '--on', lane, '--json'], /"type":"exit"/));
  }
  const { ours, reference, ratio } = compare(exit, shell);
  return [
    { name: 'first-exit', what: 'boot to a shell', value: reference, unit: 's' },
    { name: 'first-exit', what: 'to the first decoded exit', value: ours, unit: 's', aim: aims[lane]! },
    { name: 'first-exit', what: 'of the time to a shell', value: ratio, unit: 'times' },
  ];
}
