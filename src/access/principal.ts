/** What a credential may allow. None implies another. */
export const SCOPES = ['live', 'read', 'audio', 'write', 'admin'] as const;
export type Scope = (typeof SCOPES)[number];

/** What each scope opens; shown in the OpenAPI document. */
export const SCOPE_MEANINGS: Readonly<Record<Scope, string>> = {
  live: 'follow calls while they go on',
  read: 'read calls, transcripts, voicemail and search',
  audio: 'read recordings',
  write: 'change calls and voicemail, and submit audio',
  admin: 'delete calls, and manage webhooks',
};

export const isScope = (text: string): text is Scope => (SCOPES as readonly string[]).includes(text);

/** Who asks, once that is proven. */
export interface Principal {
  readonly kind: 'token' | 'environment' | 'oidc' | 'loopback';
  /** Stands in audit rows, and counts against limits; never a secret. */
  readonly tokenId: string;
  /** As the operator named it. */
  readonly name: string;
  /** The only tenant that it sees; undefined sees all. */
  readonly tenant: string | undefined;
  readonly scopes: readonly Scope[];
  /** Undefined: that of the service. */
  readonly requestsPerMinute: number | undefined;
  /** Of what tells it itself (JWT); that of a stored token stands in its row. */
  readonly expiresAt?: Date | undefined;
}
