// How long the lab takes to the first decoded exit, beside how long it takes to boot the same image to a shell.
// Both are whole commands, in turns, so that a busy machine slows both. Prints seconds and the ratio of the medians.
//
//   node --import tsx bench/first-exit.ts [vmx|svm] [runs]

import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const command = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const lane = process.argv[2] ?? 'vmx';
const runs = Number(process.argv[3] ?? 3);

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

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const shell: number[] = [];
const exit: number[] = [];
for (let run = 0; run < runs; run++) {
  shell.push(await secondsUntil(['lab', 'shell', '--on', lane], /shell-is-1-up/, 'echo shell-is-$((1))-up\nexit\n'));
  exit.push(await secondsUntil(['run', 'examples/first-ipi.ts', '--on', lane, '--json'], /"type":"exit"/));
}
const show = (values: number[]) => values.map((value) => value.toFixed(1)).join(' ');
console.log(`${lane}: boot to shell ${show(shell)} s; to the first decoded exit ${show(exit)} s`);
console.log(`ratio of medians ${(median(exit) / median(shell)).toFixed(2)}`);
