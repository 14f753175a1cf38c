import { type Scope, SCOPES } from '../../src/access/principal.ts';
import type { TestApi } from './api.ts';

/** As much of a JSON Schema as the generators know. */
export interface JsonSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly items?: JsonSchema;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: JsonSchema;
}

/** One operation of the document. */
export interface Operation {
  readonly operationId: string;
  readonly method: string;
  /** With its `{parameters}`. */
  readonly path: string;
  readonly scope: Scope | undefined;
  readonly parameters: readonly Parameter[];
  /** Schema of a JSON body, where the operation takes one. */
  readonly jsonBody: JsonSchema | undefined;
  /** Whether it takes a form with files. */
  readonly takesForm: boolean;
  readonly statuses: readonly string[];
}

interface DocumentOperation {
  readonly operationId?: string;
  readonly security?: readonly { readonly bearer?: readonly string[] }[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema?: JsonSchema }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>> };
}

export async function loadDocument(api: TestApi): Promise<OpenApiDocument> {
  return (await (await api.fetch('/openapi.json')).json()) as OpenApiDocument;
}

export function operationsOf({ paths }: OpenApiDocument): readonly Operation[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      operationId: operation.operationId ?? `${method} ${path}`,
      method: method.toUpperCase(),
      path,
      scope: SCOPES.find((scope) => scope === operation.security?.[0]?.bearer?.[0]),
      parameters: operation.parameters ?? [],
      jsonBody: operation.requestBody?.content['application/json']?.schema,
      takesForm: operation.requestBody?.content['multipart/form-data'] !== undefined,
      statuses: Object.keys(operation.responses),
    })),
  );
}
