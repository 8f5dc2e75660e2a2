<?php

/** Makes calls of the PHP library, a line of JSON each, and says what came of them as the table does. */

declare(strict_types=1);

error_reporting(E_ALL);
set_error_handler(static function (int $level, string $message, string $file, int $line): bool {
    throw new ErrorException($message, 0, $level, $file, $line);
});

require __DIR__ . '/../../../sdk/php/src/NexTalk.php';

use NexTalk\Client;
use NexTalk\Event;
use NexTalk\NexTalkException;

/** Calls whose answer is an object of ids, also when it is empty. */
const MAPS = ['presences', 'fullPresences', 'members', 'fullMembers'];

function thrown(NexTalkException $error): array
{
    return array_filter([
        'status' => $error->getStatus(),
        'message' => $error->getMessage(),
        'detail' => $error->getDetail(),
        'retryAfter' => $error->getRetryAfter(),
    ], static fn ($value): bool => $value !== null);
}

/** @param mixed $value */
function plain($value)
{
    if ($value instanceof NexTalkException) {
        return ['error' => thrown($value)];
    }
    if ($value instanceof Event) {
        $fields = array_filter(get_object_vars($value), static fn ($one): bool => $one !== null);
        return $value->kind === 'other' ? ['kind' => 'other', 'raw' => $value->raw] : array_diff_key($fields, ['raw' => 0]);
    }
    if (is_object($value)) {
        $fields = array_filter(get_object_vars($value), static fn ($one): bool => $one !== null);
        foreach (['presences', 'outcomes'] as $map) {
            if (isset($fields[$map])) {
                $fields[$map] = (object) $fields[$map];
            }
        }
        return $fields;
    }
    return is_array($value) ? array_map('plain', array_filter($value, static fn ($one): bool => $one !== null)) : $value;
}

function returned(Client $site, string $call, array $args)
{
    $value = $site->$call(...$args);
    if ($value instanceof Generator) {
        $pairs = [];
        foreach ($value as $id => $show) {
            $pairs[] = [$id, $show];
        }
        return $pairs;
    }
    return in_array($call, MAPS, true) ? (object) plain($value) : plain($value);
}

function answer(array $question): array
{
    $waits = [];
    $client = $question['client'];
    $options = array_intersect_key($client, ['tokenSecret' => 0, 'webhookSecret' => 0, 'retries' => 0]);
    if (isset($client['timeoutMs'])) {
        $options['timeout'] = $client['timeoutMs'] / 1000;
    }
    $options['clock'] = [
        'now' => static fn (): float => (float) $client['now'],
        'random' => static fn (): float => (float) $client['random'],
        'sleep' => static function (float $seconds) use (&$waits): void {
            $waits[] = (int) round($seconds * 1000);
        },
    ];
    try {
        $site = new Client($client['server'], $client['domain'], $client['apiKey'], $options);
        $value = returned($site, $question['call'], $question['args']);
        return ($value === null ? [] : ['returns' => $value]) + ['waits' => $waits];
    } catch (InvalidArgumentException $error) {
        return ['throws' => 'argument', 'waits' => $waits];
    } catch (NexTalkException $error) {
        return ['throws' => thrown($error), 'waits' => $waits];
    }
}

while (($line = fgets(STDIN)) !== false) {
    fwrite(STDOUT, json_encode(answer(json_decode($line, true)), JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE) . "\n");
}
