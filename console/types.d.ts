// SPDX-FileCopyrightText: The Drogue IoT Ajour authors
// SPDX-License-Identifier: Apache-2.0

// What the API answers with, as its OpenAPI document describes it.

export interface Info { version: string, api: string, issuer: string, clientId: string, dev: boolean }

export interface Me { name: string, subject: string, mayTrigger: boolean, expires?: string }

export interface Violation { path: string, detail: string }

export type Phase = 'Queued' | 'Running' | 'Succeeded' | 'Failed' | 'Cancelled'

export interface Step {
  name: string
  state: 'Waiting' | 'Running' | 'Succeeded' | 'Failed' | 'Cancelled' | 'Skipped'
  started?: string
  completed?: string
  exitCode?: number
}

export interface Artifact {
  reference?: string
  digest?: string
  version?: string
  size?: number
  sha256?: string
  hawkbit?: { controller: string, distributionSet: number, action?: number }
}

export interface Build {
  app: string
  device?: string
  status: Phase
  id: string
  reason: string
  message?: string
  warnings?: string[]
  progress?: number
  requester?: string
  requested: string
  started?: string
  completed?: string
  updated: string
  expected?: string
  estimate?: number
  queue?: number
  cause?: string
  commit?: string
  committed?: string
  source?: { uri: string, rev?: string, path: string }
  steps?: Step[]
  publishes?: string
  log?: { bytes: number, gone: boolean }
  rejected?: boolean
  artifact?: Artifact
  descriptionHash?: string
  recorded?: boolean
  supersededBy?: string
  supersedes?: string
  actions?: string[]
  description?: unknown
  meaning?: string
  remedy?: string
}

export type DriftState = 'InSync' | 'Updating' | 'NotInSync' | 'Unknown'

export interface Drift {
  state: DriftState
  wanted?: string
  built?: string
  running?: string
  target?: string
  progress?: number
  since?: string
  message?: string
}

export interface DrogueObject {
  name: string
  application?: string
  labels?: Record<string, string>
  kind?: string
  inherits?: boolean
  builds: boolean
  hash?: string
  violations?: Violation[]
  outOfDate: boolean
  newest?: Build
  drift?: Drift
  firmware?: unknown
  description?: unknown
  warnings?: Violation[]
}

export interface Fleet {
  devices: number
  states: Record<DriftState, number>
  own: number
  outOfDate: number
  failed: number
  at: string
}

export interface Validation { valid: boolean, description?: unknown, hash?: string, violations: Violation[], warnings: Violation[] }
