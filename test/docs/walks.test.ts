/** Pages that a reader works through: their scripts are written, their commands run, and what they say is printed is printed. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { kvmDsm } from '../support/command.ts';
import { labMissing } from '../support/lab.ts';
import { type NewProject, newProject } from '../support/new-project.ts';
import { type Fence, fencesOf } from '../support/pages.ts';

const walks = ['docs/tutorial.md', 'docs/howto/checks.md', 'docs/howto/mail.md', 'docs/howto/two-machines.md'];

after(() => {
  kvmDsm(['lab', 'down']);
});

for (const page of walks)
  describe(page, () => {
    const project = newProject('ipi-tests');
    after(() => rmSync(dirname(project.folder), { recursive: true }));
    const printed: string[] = [];
    for (const fence of fencesOf(page)) take(project, fence, printed);
    const quotes = fencesOf(page).filter(({ info, text }) => info === '' && /^ {2}\w/.test(text));
    for (const { line, text } of quotes)
      test(`line ${line}: what is quoted of a failure is in it`, { skip: labMissing() }, () => {
        assert.ok(
          printed.some((output) => missingOf(text.trimEnd().split('\n'), output) === undefined),
          text,
        );
      });
  });

function take({ folder, made, sh }: NewProject, { info, text, line }: Fence, printed: string[]): void {
  const [, script] = /^ts (\S+\.ts)$/.exec(info) ?? [];
  if (script === 'ipi.ts')
    test('the first test of a new project is the one that is shown', () => {
      assert.equal(text, readFileSync(join(folder, script), 'utf8'));
    });
  else if (script !== undefined) writeFileSync(join(folder, script), text);
  if (info !== 'console') return;
  for (const { command, shown } of stepsOf(text))
    test(`line ${line}: ${command}`, { skip: setsUp(command) ? false : labMissing() }, () => {
      const { code, stdout, stderr } = setsUp(command) ? { ...made, code: 0 } : sh(command, 300);
      printed.push(stdout);
      const fails = shown.some((words) => /^not ok|[1-9]\d* fail,/.test(words));
      assert.equal(code, fails ? 1 : 0, stdout + stderr);
      assert.equal(missingOf(shown, stdout), undefined, stdout + stderr);
    });
}

/** newProject() has done these, with this checkout as the package that is installed. */
function setsUp(command: string): boolean {
  return ['npx kvm-dsm init ipi-tests', 'cd ipi-tests', 'npm install'].includes(command);
}

interface Step {
  readonly command: string;
  /** What the page shows of its output: lines, and `...` for what is left out. */
  readonly shown: readonly string[];
}

function stepsOf(text: string): Step[] {
  const [, ...parts] = text.split(/^\$ /m);
  return parts.map((part) => {
    const [command, ...shown] = part.trimEnd().split('\n');
    return { command: command!, shown };
  });
}

/** Of vCPUs that run at once either may come first, and a run may be over before the last of them has said its word. */
function withoutCounts(line: string): string {
  return line.replace(/^#\d+ /, '#n ').replace(/^ok: \d+ exits/, 'ok: n exits');
}

/** The first line that is shown and was not printed, or not in this order; `...` stands for anything within a line. */
function missingOf(shown: readonly string[], printed: string): string | undefined {
  const lines = printed.split('\n').map(withoutCounts);
  let at = 0;
  return shown.map(withoutCounts).find((words) => {
    if (words === '...') return false;
    const parts = words.split('...').map((part) => part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
    const expression = new RegExp(`^${parts.join('.*')}$`);
    const found = lines.findIndex((line, index) => index >= at && expression.test(line));
    at = found + 1;
    return found === -1;
  });
}
