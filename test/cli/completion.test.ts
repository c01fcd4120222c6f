/** `kvm-dsm completion`: what a shell is given, and what a real bash makes of it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { kvmDsm, root, runProgram } from '../support/command.ts';

const scriptFor = (shell: string): string => {
  const { code, stdout, stderr } = kvmDsm(['completion', shell]);
  assert.equal(code, 0, stderr);
  return stdout;
};
const has = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;

/** What bash offers when TAB is pressed after these words; the last one is what has been typed of a word. */
function offered(...words: string[]): string[] {
  const quoted = ['kvm-dsm', ...words].map((word) => `'${word}'`).join(' ');
  const press = `COMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _kvm_dsm; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { code, stdout, stderr } = runProgram('bash', ['-uc', `${scriptFor('bash')}\n${press}`], 30);
  assert.equal(code, 0, stderr);
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '');
}

test('bash: commands, those below lab, options, what an option takes, files', {
  skip: !has('bash') && 'no bash',
}, () => {
  assert.deepEqual(offered('do'), ['doctor']);
  const help = kvmDsm(['--help']).stdout;
  for (const command of offered('')) assert.match(help, new RegExp(`^  ${command}\\b`, 'm'));
  assert.ok(offered('').length >= 9);
  for (const command of ['build', 'status', 'up', 'down', 'exec', 'shell', 'clean'])
    assert.ok(offered('lab', '').includes(command), command);
  assert.deepEqual(offered('lab', 'build', '--from'), ['--from-source']);
  assert.deepEqual(offered('run', '--from'), [], 'an option of another command');
  assert.deepEqual(offered('run', '--on', ''), ['auto', 'host', 'vmx', 'svm']);
  assert.deepEqual(offered('--json', 'test', '--reporter', 'kt'), ['ktap']);
  for (const files of [
    ['run', 'examples/first'],
    ['run', '--kernel', ''],
    ['test', '--checks', ''],
  ])
    assert.deepEqual(offered(...files), [], 'the shell offers files then');
  assert.match(scriptFor('bash'), /^complete -o default /m);
  assert.deepEqual(offered('completion', ''), ['bash', 'zsh', 'fish']);
});

test('bash: nothing that was typed is run', { skip: !has('bash') && 'no bash' }, () => {
  assert.deepEqual(offered('run', '$(echo examples)/first'), []);
});

for (const shell of ['zsh', 'fish'])
  test(`${shell} takes its script`, { skip: !has(shell) && `no ${shell}` }, () => {
    const { status, stderr } = spawnSync(shell, ['-n'], { input: scriptFor(shell), encoding: 'utf8', cwd: root });
    assert.equal(status, 0, stderr);
  });

test('the scripts of all shells know the same words', () => {
  for (const word of ['doctor', 'review', 'clean', 'from-source', 'auto host vmx svm'])
    for (const shell of ['bash', 'zsh', 'fish']) assert.ok(scriptFor(shell).includes(word), `${word} in ${shell}`);
});

test('another shell is refused', () => {
  const { code, stderr } = kvmDsm(['completion', 'tcsh']);
  assert.equal(code, 2);
  assert.match(stderr, /'tcsh' is invalid.*bash, zsh, fish/);
});
