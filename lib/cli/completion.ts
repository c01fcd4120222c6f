/**
 * `kvm-dsm completion <shell>`: a script for bash, zsh or fish, made from the program. It holds all words, so that a press of
 * TAB starts no process. Libraries for that call the program each time, and the one that takes commander's commands
 * (@bomb.sh/tab 0.0.22) completes no files and evaluates what was typed.
 */
import type { Command, Help, Option } from 'commander';
import { Argument } from 'commander';
import { print } from '../target/output.ts';

/** A command and what can come after it. */
interface Words {
  /** `lab build`; the program itself: nothing. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly Option[];
  /** The first argument's choices; without them it is a file. */
  readonly argument: readonly string[] | 'file' | undefined;
}

const shells = { bash: bashScript, zsh: zshScript, fish: fishScript } as const;
type Shell = keyof typeof shells;

/** Adds `kvm-dsm completion`. */
export function addCompletionCommand(program: Command, description: string): void {
  program
    .command('completion')
    .description(description)
    .addArgument(new Argument('<shell>', 'whose script').choices(Object.keys(shells)))
    .addHelpText('after', '\nFor bash: source <(kvm-dsm completion bash), also in ~/.bashrc')
    .action((shell: Shell) => print(shells[shell](wordsOf(program, program.createHelp()))));
}

function wordsOf(command: Command, help: Help, path: readonly string[] = []): Words[] {
  const commands = help.visibleCommands(command);
  const own = {
    path: path.join(' '),
    commands: commands.map((sub) => ({ name: sub.name(), description: sub.description() })),
    options: help.visibleOptions(command),
    argument: argumentOf(command),
  };
  return [own, ...commands.flatMap((sub) => wordsOf(sub, help, [...path, sub.name()]))];
}

function argumentOf({ registeredArguments: [first] }: Command): Words['argument'] {
  return first?.argChoices ?? (first && 'file');
}

const flagsOf = ({ short, long }: Option): string[] => [short, long].filter((flag) => flag !== undefined);
const takesValue = ({ required, optional }: Option): boolean => required || optional;

function bashScript(all: readonly Words[]): string {
  const paths = all.map(({ path }) => path).filter((path) => path !== '');
  const values = all.flatMap(({ path, options }) =>
    options.filter(takesValue).map((option) => {
      const words = option.argChoices?.join(' ');
      const pattern = flagsOf(option)
        .map((flag) => `'${path}:${flag}'`)
        .join('|');
      return `    ${pattern}) ${words === undefined ? '' : `COMPREPLY=($(compgen -W '${words}' -- "$cur")); `}return ;;`;
    }),
  );
  const rest = all.map(({ path, commands, options, argument }) => {
    const flags = options.flatMap(flagsOf).join(' ');
    const names = argument === 'file' ? [] : [...commands.map(({ name }) => name), ...(argument ?? [])];
    return `    '${path}') flags='${flags}'; words='${names.join(' ')}' ;;`;
  });
  return `# bash completion of kvm-dsm: source <(kvm-dsm completion bash)
_kvm_dsm() {
  local IFS=$' \\t\\n' cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} path= flags= words= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${path:+$path }\${COMP_WORDS[i]}" in
      ${paths.map((path) => `'${path}'`).join('|')}) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path:$prev" in
${values.join('\n')}
  esac
  case "$path" in
${rest.join('\n')}
  esac
  [[ $cur != -* ]] || words=$flags
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
# Where it has no word, the shell offers files.
complete -o default -F _kvm_dsm kvm-dsm
`;
}

/** zsh runs bash's functions. */
function zshScript(all: readonly Words[]): string {
  return `# zsh completion of kvm-dsm: source <(kvm-dsm completion zsh)
autoload -Uz compinit && compinit
autoload -Uz bashcompinit && bashcompinit
${bashScript(all).replace(/^# .*\n/, '')}`;
}

function fishScript(all: readonly Words[]): string {
  const lines = all.flatMap(({ path, commands, options, argument }) => {
    const when = `-n '_kvm_dsm_at "${path}"'`;
    const begin = `complete -c kvm-dsm ${when}`;
    return [
      ...(argument === 'file' ? [] : [`${begin} -f`]),
      ...commands.map(({ name, description }) => `${begin} -a ${name} -d ${quoted(description)}`),
      ...(Array.isArray(argument) ? [`${begin} -a '${argument.join(' ')}'`] : []),
      ...options.map((option) => `${begin} ${fishOption(option)} -d ${quoted(option.description)}`),
    ];
  });
  return `# fish completion of kvm-dsm: kvm-dsm completion fish | source
function _kvm_dsm_at
  set -l path ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$path $word")
    contains -- "$next" ${all.map(({ path }) => `'${path}'`).join(' ')}; and set path "$next"
  end
  test "$path" = "$argv[1]"
end
${lines.join('\n')}
`;
}

function fishOption(option: Option): string {
  const names = [option.short && `-s ${option.short.slice(1)}`, option.long && `-l ${option.long.slice(2)}`];
  const values = option.argChoices ? `-x -a '${option.argChoices.join(' ')}'` : takesValue(option) ? '-r' : undefined;
  return [...names, values].filter((part) => part !== undefined).join(' ');
}

const quoted = (text: string): string => `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
