// Lines for a terminal that do what the page does, with the proof that this instance asks for.

import * as api from './api.js';

const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/**
 * The headers that prove who is calling. Secrets stay in variables: what is copied may end up anywhere.
 * @param {{auth: string, user_id: string, tenant_id: string}} session
 */
function proof(session, role) {
  if (session.auth === 'jwt') return ['-H "Authorization: Bearer $AUDIT_TOKEN"'];
  if (session.auth !== 'gateway') return [];
  return [
    '-H "X-Gateway-Secret: $AUDIT_GATEWAY_SECRET"',
    `-H ${quoted(`X-User-Id: ${session.user_id}`)}`,
    `-H ${quoted(`X-Tenant-Id: ${session.tenant_id}`)}`,
    `-H ${quoted(`X-User-Role: ${role}`)}`,
  ];
}

const lines = (parts) => parts.join(' \\\n  ');

/** Records an entry. */
export function recording(session) {
  const entry = { action: 'CREATE', resource_type: 'invoice', resource_id: 'inv-1', message: 'first entry' };
  return lines([
    `curl -sS ${quoted(api.address(''))}`,
    ...proof(session, 'user'),
    "-H 'Content-Type: application/json'",
    `-d ${quoted(JSON.stringify(entry))}`,
  ]);
}

/** Reads an entry. */
export function reading(session, id) {
  const role = session.roles.includes('auditor') ? 'auditor' : 'admin';
  return lines([`curl -sS ${quoted(api.address(`/${id}`))}`, ...proof(session, role)]);
}

/** What has to be known besides. */
export function advice(session) {
  if (session.auth === 'jwt') return 'AUDIT_TOKEN is a token with the role admin or user.';
  if (session.auth === 'gateway')
    return 'AUDIT_GATEWAY_SECRET is what gateway and service share. Where the gateway has an address of its own, put that of the service; your applications go through the gateway.';
  return 'Development mode: everybody on this machine is an admin.';
}
