import type { Queryable } from '../../src/store/pool.ts';

/** What the server did for one statement. */
export interface Plan {
  readonly name: string;
  /** Partitions and tables that were read or written, each once; what was pruned or never run is not here. */
  readonly relations: readonly string[];
  /** Those that were read row by row. */
  readonly scanned: readonly string[];
  readonly planningMs: number;
  readonly executionMs: number;
}

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Loops': number;
  readonly Plans?: readonly PlanNode[];
}

/** Runs each statement under `explain analyze`, notes its plan, and then once more for its answer; settings and what is explained already have none. */
export function explaining(db: Queryable, plans: Plan[]): Queryable {
  const query = async (
    given: string | { readonly text: string; readonly name?: string; readonly values?: unknown[] },
    values?: unknown[],
  ): Promise<unknown> => {
    const statement = typeof given === 'string' ? { text: given, values } : given;
    const { text, values: parameters } = statement;
    if (/^(?:set|explain) /.test(text)) return db.query(text, parameters);
    const name = 'name' in statement ? statement.name : undefined;
    const { rows } = await db.query<{ 'QUERY PLAN': readonly [Explained] }>(
      `explain (analyze, format json) ${text}`,
      parameters,
    );
    const explained = rows[0]?.['QUERY PLAN'][0];
    if (explained === undefined) throw new Error('a statement has a plan');
    plans.push(planOf(name ?? text.trim().slice(0, 40), explained));
    return db.query(text, parameters);
  };
  return { query: query as Queryable['query'] };
}

interface Explained {
  readonly Plan: PlanNode;
  readonly 'Planning Time': number;
  readonly 'Execution Time': number;
}

function planOf(name: string, explained: Explained): Plan {
  const nodes = flatten(explained.Plan).filter((node) => node['Actual Loops'] > 0);
  const names = (wanted: (node: PlanNode) => boolean): readonly string[] => [
    ...new Set(nodes.filter(wanted).flatMap((node) => node['Relation Name'] ?? [])),
  ];
  return {
    name,
    relations: names(() => true),
    scanned: names((node) => node['Node Type'] === 'Seq Scan'),
    planningMs: explained['Planning Time'],
    executionMs: explained['Execution Time'],
  };
}

const flatten = (node: PlanNode): readonly PlanNode[] => [node, ...(node.Plans ?? []).flatMap(flatten)];
