/** Every place of the public API that takes an object by its keys, found out by the compiler. */
import { join } from 'node:path';
import {
  API,
  type Checker,
  type InterfaceType,
  ObjectFlags,
  type Project,
  SignatureKind,
  SymbolFlags,
  type Symbol as TsSymbol,
  type Type,
  TypeFlags,
  type TypeReference,
  type UnionType,
} from 'typescript/unstable/sync';
import { root } from './command.ts';

const entries = ['index', 'faces/kvm', 'faces/abi', 'faces/guest', 'faces/trace', 'faces/suite', 'faces/lab'];
/** What stands in an object of an object of an object... of the API is found to this depth. */
const DEPTH = 3;

/**
 * `machine(options)`, `Vcpu.start(options.record)`, `Vm.setGsiRouting(routes[])`: each parameter of a function, of a
 * method or of a constructor of the entries that is an object with named keys and of no class, and what stands in it.
 */
export function optionTakers(): string[] {
  const api = new API({ cwd: root });
  try {
    const snapshot = api.updateSnapshot({ openProjects: [join(root, 'tsconfig.build.json')] });
    return new Finder(snapshot.getProjects()[0]!).find();
  } finally {
    api.close();
  }
}

class Finder {
  readonly #project: Project;
  readonly #checker: Checker;
  readonly #found = new Set<string>();
  readonly #classes = new Set<string>();

  constructor(project: Project) {
    this.#project = project;
    this.#checker = project.checker;
  }

  find(): string[] {
    for (const entry of entries) {
      const file = this.#project.program.getSourceFile(join(root, 'lib', `${entry}.ts`))!;
      for (const symbol of this.#checker.getExportsOfModule(this.#checker.getSymbolAtLocation(file)!))
        this.#export(symbol.name, symbol.flags & SymbolFlags.Alias ? this.#checker.getAliasedSymbol(symbol) : symbol);
    }
    return [...this.#found].sort();
  }

  #export(name: string, symbol: TsSymbol): void {
    if (symbol.flags & SymbolFlags.Class) this.#class(symbol);
    else if (symbol.flags & SymbolFlags.NamespaceModule)
      for (const inner of this.#checker.getExportsOfModule(symbol)) this.#export(`${name}.${inner.name}`, inner);
    else if (symbol.flags & SymbolFlags.Value) this.#value(name, this.#checker.getTypeOfSymbol(symbol)!);
  }

  /** A function; or a class under another name. */
  #value(name: string, type: Type): void {
    this.#calls(name, type);
    for (const made of this.#checker.getSignaturesOfType(type, SignatureKind.Construct)) {
      const instance = this.#checker.getReturnTypeOfSignature(made)!;
      for (const member of this.#checker.getPropertiesOfType(instance))
        if (this.#isPublic(member)) this.#calls(`${name}.${member.name}`, this.#checker.getTypeOfSymbol(member)!);
    }
  }

  #class(symbol: TsSymbol): void {
    if (this.#classes.has(symbol.name)) return;
    this.#classes.add(symbol.name);
    const checker = this.#checker;
    const { name } = symbol;
    const made = checker.getDeclaredTypeOfSymbol(symbol) as InterfaceType;
    const itself = checker.getTypeOfSymbol(symbol)!;
    for (const member of [...checker.getPropertiesOfType(itself), ...checker.getPropertiesOfType(made)])
      if (this.#isPublic(member)) this.#calls(`${name}.${member.name}`, checker.getTypeOfSymbol(member)!);
    const isMade = [...(symbol.getMembers() as ReadonlyMap<string, TsSymbol>).values()].every(
      (member) => !(member.flags & SymbolFlags.Constructor) || this.#isPublic(member),
    );
    if (isMade) this.#calls(`new ${name}`, itself, SignatureKind.Construct);
  }

  #isPublic(symbol: TsSymbol): boolean {
    const { declarations, name } = symbol;
    if (name === 'prototype' || name.includes('#') || !declarations[0]?.path.startsWith(join(root, 'lib')))
      return false;
    if (symbol.getJsDocTags(this.#checker).some((tag) => tag.name === 'internal')) return false;
    return !declarations.some((one) => /^\s*(private|protected)\b/.test(one.resolve(this.#project)?.getText() ?? ''));
  }

  #calls(name: string, type: Type, kind = SignatureKind.Call): void {
    for (const signature of this.#checker.getSignaturesOfType(type, kind))
      for (const parameter of signature.getParameters())
        this.#parameter(`${name}(`, parameter.name, this.#checker.getTypeOfSymbol(parameter)!, DEPTH);
  }

  #parameter(call: string, path: string, type: Type, depth: number): void {
    const checker = this.#checker;
    if (type.flags & TypeFlags.Union) {
      for (const one of (type as UnionType).getTypes()) this.#parameter(call, path, one, depth);
      return;
    }
    if (!(type.flags & (TypeFlags.Object | TypeFlags.Intersection)) || depth === 0) return;
    if (checker.isArrayType(type)) {
      const [element] = checker.getTypeArguments(type as TypeReference);
      if (element) this.#parameter(call, `${path}[]`, element, depth);
      return;
    }
    if (!this.#isByKeys(type)) return;
    const keys = checker.getPropertiesOfType(type);
    if (keys.length === 0) return;
    this.#found.add(`${call}${path})`);
    for (const key of keys) this.#parameter(call, `${path}.${key.name}`, checker.getTypeOfSymbol(key)!, depth - 1);
  }

  /** Not a function, an instance of a class, or what JavaScript itself has. */
  #isByKeys(type: Type): boolean {
    if (this.#checker.getSignaturesOfType(type, SignatureKind.Call).length > 0) return false;
    const isMapped = 'objectFlags' in type && (type.objectFlags as number) & ObjectFlags.Mapped;
    const symbol = type.getSymbol?.();
    if (isMapped || !symbol) return true;
    if (symbol.flags & SymbolFlags.Class) return false;
    return symbol.declarations.some(({ path }) => path.startsWith(join(root, 'lib')));
  }
}
