<?php

/**
 * NexTalk for a site's backend: sign tokens, bring users online, send messages, receive events.
 *
 * One file for PHP 7.4 and later, with the extensions curl and json; Composer is not needed.
 */

declare(strict_types=1);

namespace NexTalk;

/**
 * What a call throws: the server's refusal, or that it could not be asked.
 *
 * The status is the HTTP status, or 0 where no answer came: then the message is `timeout` or `connection failed`.
 */
final class NexTalkException extends \RuntimeException
{
    private ?string $detail;
    private ?int $retryAfter;

    public function __construct(int $status, string $message, ?string $detail = null, ?int $retryAfter = null)
    {
        parent::__construct($message, $status);
        $this->detail = $detail;
        $this->retryAfter = $retryAfter;
    }

    public function getStatus(): int
    {
        return (int) $this->getCode();
    }

    /** What is wrong with a parameter (400), or what the system says of a connection. */
    public function getDetail(): ?string
    {
        return $this->detail;
    }

    /** Seconds after which the server wants to be asked again (429, 503). */
    public function getRetryAfter(): ?int
    {
        return $this->retryAfter;
    }

    public function __toString(): string
    {
        return trim("{$this->getStatus()} {$this->getMessage()}: {$this->detail}", ': ') . "\n" . $this->getTraceAsString();
    }
}

/** What ONLINE answers, for the page: a ticket and where to go with it. */
final class Online
{
    public string $ticket = '';
    public string $server = '';
    public string $jsonp = '';
    public string $websocket = '';
    /** Null while the server has no MQTT. */
    public ?string $mqtt = null;
    /** @var array<string, string> the buddies that are online, with their show */
    public array $presences = [];
}

/**
 * A message that was accepted, and what became of it where a receipt was asked for.
 *
 * Outcomes are `delivered`, `queued`, `stored`, `dropped` and `unknown`.
 */
final class Sent
{
    /** Empty where the message was sent without one and the server names none. */
    public string $id = '';
    /** For one receiver or a room. */
    public ?string $outcome = null;
    /** @var array<string, string>|null for several receivers, by their ids */
    public ?array $outcomes = null;
    /** For a room: its members that are online and visible. */
    public ?int $members = null;
}

/**
 * What happened in a domain. Which fields are set follows from `kind`.
 *
 * `online`, `offline` (`since`), `join` and `leave` (`room`) have `name`; `roomEmpty` has `room`; `message` and
 * `undelivered` (`outcome`) have `packet`; `failed` has the `id` of an event that the site refused ten times; `missed`
 * has the `count` of events that were lost. A kind that this library does not know is `other`, and is found in `raw`.
 */
final class Event
{
    public string $kind = 'other';
    /** @var array<string, mixed> */
    public array $raw = [];
    public ?string $id = null;
    /** Milliseconds since 1970, as is `since`. */
    public ?int $time = null;
    public ?string $name = null;
    public ?string $nick = null;
    public ?string $show = null;
    public ?int $since = null;
    public ?string $room = null;
    /** @var array<string, mixed>|null a message as clients receive it */
    public ?array $packet = null;
    public ?string $outcome = null;
    public ?int $count = null;
}

/**
 * A domain of a NexTalk server, for the site that owns it.
 *
 * `$who` is `['ticket' => …]`, one client, or `['name' => …]`, everybody who holds a ticket of that name. Ids are texts
 * or integers. All calls throw a NexTalkException; wrong arguments are an InvalidArgumentException before that.
 */
final class Client
{
    private const FIRST_PAUSE_S = 0.25;
    private const TOKEN_BYTES = 32;
    private const TOKEN_LONGEST_S = 86400;
    /** Of a query of ids, in encoded characters: far below the 4 KiB of headers that every server takes. */
    private const LONGEST_IDS = 2000;
    private const JSON = JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_LINE_TERMINATORS;
    private const KINDS = [
        'online', 'offline', 'join', 'leave', 'roomEmpty', 'message', 'undelivered', 'failed', 'missed',
    ];
    private const STATUS_OF = [
        'bad request' => 400,
        'authentication failed' => 401,
        'forbidden' => 403,
        'ticket not found' => 404,
        'not found' => 404,
        'not online' => 404,
        'payload too large' => 413,
        'too many requests' => 429,
        'unavailable' => 503,
    ];

    private string $server;
    private string $domain;
    private string $apiKey;
    /** @var string[] */
    private array $tokenSecrets;
    /** @var string[] */
    private array $webhookKeys;
    private float $timeout;
    private int $retries;
    /** @var array{now: callable, sleep: callable, random: callable} */
    private array $clock;
    /** @var resource|\CurlHandle|null kept, and with it its connection */
    private $curl = null;

    /**
     * @param array{tokenSecret?: string|string[], webhookSecret?: string|string[], timeout?: float, retries?: int,
     *     clock?: array{now: callable, sleep: callable, random: callable}} $options `tokenSecret`: of at least 32 bytes
     *     each, the first one signs; `webhookSecret`: the API key unless given, with which the server signs then;
     *     `timeout`: seconds for each attempt (5); `retries`: how many more a call has (2); `clock`: for tests
     */
    public function __construct(
        string $server,
        string $domain,
        #[\SensitiveParameter]
        string $apiKey,
        #[\SensitiveParameter]
        array $options = []
    ) {
        if (preg_match('#^https?://#', $server) !== 1) {
            throw new \InvalidArgumentException('server is an address that begins with https:// or http://');
        }
        if ($domain === '' || $apiKey === '') {
            throw new \InvalidArgumentException('domain and API key are needed');
        }
        $known = ['tokenSecret', 'webhookSecret', 'timeout', 'retries', 'clock'];
        foreach (array_diff(array_keys($options), $known) as $name) {
            throw new \InvalidArgumentException("unknown option $name");
        }
        $this->server = rtrim($server, '/');
        $this->domain = $domain;
        $this->apiKey = $apiKey;
        $this->tokenSecrets = (array) ($options['tokenSecret'] ?? []);
        // An API key that the server's configuration has hashed signs as the digits of its hash.
        $this->webhookKeys = (array) ($options['webhookSecret'] ?? []) ?: [$apiKey, hash('sha256', $apiKey)];
        $this->timeout = (float) ($options['timeout'] ?? 5);
        $this->retries = $options['retries'] ?? 2;
        $this->clock = ($options['clock'] ?? []) + [
            'now' => static fn (): float => microtime(true),
            'sleep' => static fn (float $seconds) => usleep((int) round($seconds * 1e6)),
            'random' => static fn (): float => random_int(0, 1000000) / 1e6,
        ];
    }

    /** What is printed of a client holds no secret. */
    public function __debugInfo(): array
    {
        return ['server' => $this->server, 'domain' => $this->domain];
    }

    /**
     * A token with which the page of `$sub` comes online by itself, for `$ttl` seconds (at most 24 h).
     *
     * @param string|int $sub
     * @param array<string, mixed> $claims `nick`, `show`, `status`, and the lists `buddies` and `rooms`
     */
    public function token($sub, array $claims = [], int $ttl = 3600): string
    {
        $secret = $this->tokenSecrets[0] ?? '';
        if ((string) $sub === '') {
            throw new \InvalidArgumentException('a token is for somebody: sub is empty');
        }
        if (strlen($secret) < self::TOKEN_BYTES) {
            throw new \InvalidArgumentException('tokenSecret has less than ' . self::TOKEN_BYTES . ' bytes');
        }
        if ($ttl <= 0 || $ttl > self::TOKEN_LONGEST_S) {
            throw new \InvalidArgumentException('ttl is not between 1 s and 24 h');
        }
        $now = (int) ($this->clock['now'])();
        $set = ['aud' => $this->domain, 'sub' => (string) $sub, 'iat' => $now, 'exp' => $now + $ttl];
        foreach (array_intersect_key($set, $claims) as $name => $_) {
            throw new \InvalidArgumentException("the claim $name is set by the library");
        }
        foreach (['buddies', 'rooms'] as $name) {
            if (isset($claims[$name])) {
                $claims[$name] = array_map('strval', array_values((array) $claims[$name]));
            }
        }
        $signed = self::base64url(self::encode(['alg' => 'HS256', 'typ' => 'JWT'])) . '.';
        $signed .= self::base64url(self::encode($set + $claims));
        return $signed . '.' . self::base64url(hash_hmac('sha256', $signed, $secret, true));
    }

    /**
     * Brings somebody online: a user, `vid:…` or `sid:…`.
     *
     * @param string|int $name
     * @param array{nick?: string, show?: string, status?: string, buddies?: array<string|int>, rooms?: array<string|int>,
     *     client?: string} $options
     */
    public function online($name, array $options = []): Online
    {
        foreach (['buddies', 'rooms'] as $list) {
            if (isset($options[$list])) {
                $options[$list] = self::joined($options[$list]);
            }
        }
        $answer = $this->post('/v5/presences/online', ['name' => $name] + $options + ['nick' => '']);
        $online = self::filled(new Online(), $answer);
        if ($online->ticket === '') {
            throw self::unexpected();
        }
        return $online;
    }

    /** By ticket one client; by name all of them, who are signed out. */
    public function offline(array $who): void
    {
        $this->post('/v5/presences/offline', self::who($who), true, isset($who['ticket']));
    }

    /** @param array{status?: string, nick?: string} $more */
    public function show(array $who, string $show, array $more = []): void
    {
        $this->post('/v5/presences/show', self::who($who) + ['show' => $show] + $more);
    }

    /**
     * Sends a message to one receiver or several.
     *
     * @param array<string, mixed> $message `from` or `ticket`; `to`, an id or a list of at most 1,000 (a `broadcast` has
     *     none); `body`; `type` (`chat`, `grpchat`, `broadcast`), `nick`, `style`, `timestamp`; `data`, any JSON; `id`, 1
     *     to 64 of `A-Za-z0-9._~-`, made unless given (empty: none, and no attempt whose end is unknown is repeated);
     *     `receipt`, true asks what became of it; `avatar`, `to_name`, `to_avatar`, `to_other`
     */
    public function send(array $message): Sent
    {
        $fields = self::message($message);
        $id = $fields['id'] ?? '';
        if (isset($fields['data'])) {
            $fields['data'] = self::encode($fields['data']);
        }
        return self::sent($this->post('/v5/messages', $fields, $id !== ''), $id);
    }

    /**
     * Sends up to 1,000 messages in one call; a result for each, in order: what was sent, or why that one was not
     * (returned, not thrown: it holds up no other).
     *
     * @param array<array<string, mixed>> $messages
     * @return array<Sent|NexTalkException>
     */
    public function sendBatch(array $messages): array
    {
        $items = array_map([self::class, 'message'], array_values($messages));
        $ids = array_map(static fn (array $item): string => $item['id'] ?? '', $items);
        $document = self::encode(['domain' => $this->domain, 'messages' => $items]);
        $answer = $this->perform('POST', '/v5/messages/batch', $document, !in_array('', $ids, true));
        $results = $answer['results'] ?? null;
        if (!is_array($results) || !self::isList($results) || count($results) !== count($ids)) {
            throw self::unexpected();
        }
        return array_map([self::class, 'result'], $results, $ids);
    }

    /**
     * Tells somebody or a room (`gid:…`) what `$who` is doing: `typing`, `paused`, `read {id}`.
     *
     * @param string|int $to
     * @param array{nick?: string} $more
     */
    public function status(array $who, $to, string $show, array $more = []): void
    {
        $this->post('/v5/statuses', self::who($who) + ['to' => self::joined($to), 'show' => $show] + $more);
    }

    /**
     * The show of those who are online and visible.
     *
     * @param array<string|int> $ids
     * @return array<string, string>
     */
    public function presences(array $ids): array
    {
        return $this->someOf($ids, []);
    }

    /**
     * The same with nick and status.
     *
     * @param array<string|int> $ids
     * @return array<string, array{show: string, nick: string, status: string}>
     */
    public function fullPresences(array $ids): array
    {
        return $this->someOf($ids, ['full' => true]);
    }

    /**
     * Everybody who is online and visible, by id with the show, in no order.
     *
     * @param array{limit?: int} $options the size of a page
     * @return \Generator<string, string>
     */
    public function allPresences(array $options = []): \Generator
    {
        $after = null;
        do {
            $answer = $this->get('/v5/presences/all', ['after' => $after] + $options);
            foreach (self::listed($answer, 'presences') as $id => $show) {
                yield (string) $id => $show;
            }
            $after = $answer['next'] ?? '';
        } while ($after !== '');
    }

    /**
     * The members of a room that are online and visible.
     *
     * @param string|int $room
     * @return array<string, string>
     */
    public function members($room, array $who = []): array
    {
        return $this->get(self::room($room, 'members'), $who);
    }

    /**
     * The same with nick and status.
     *
     * @param string|int $room
     * @return array<string, array{show: string, nick: string, status: string}>
     */
    public function fullMembers($room, array $who = []): array
    {
        return $this->get(self::room($room, 'members'), $who + ['full' => true]);
    }

    /**
     * @param string|int $room
     * @param array{nick?: string} $more
     */
    public function join($room, array $who, array $more = []): void
    {
        $this->post(self::room($room, 'join'), self::who($who) + $more);
    }

    /**
     * @param string|int $room
     * @param array{nick?: string} $more
     */
    public function leave($room, array $who, array $more = []): void
    {
        $this->post(self::room($room, 'leave'), self::who($who) + $more);
    }

    /**
     * The conversation of `$name` with somebody or with a room (`gid:…`), oldest first.
     *
     * @param string|int $name
     * @param string|int $other
     * @param array{before?: string, after?: string, limit?: int} $range
     * @return array{messages: array<array<string, mixed>>, next: ?string}
     */
    public function history($name, $other, array $range = []): array
    {
        $answer = $this->get('/v5/history', ['name' => $name, 'with' => $other] + $range);
        return ['messages' => self::listed($answer, 'messages'), 'next' => $answer['next'] ?? null];
    }

    /**
     * The conversations of `$name`, newest first.
     *
     * @param string|int $name
     * @param array{before?: string, limit?: int} $range
     * @return array{conversations: array<array{with: string, last: array<string, mixed>, unread: int}>, next: ?string}
     */
    public function conversations($name, array $range = []): array
    {
        $answer = $this->get('/v5/history', ['name' => $name] + $range);
        return ['conversations' => self::listed($answer, 'conversations'), 'next' => $answer['next'] ?? null];
    }

    /**
     * Forgets the conversations of `$name`, that with one other, or one message.
     *
     * @param string|int $name
     * @param array{with?: string|int, id?: string} $what
     */
    public function forget($name, array $what = []): void
    {
        $fields = ['domain' => $this->domain, 'name' => $name] + $what;
        $this->perform('DELETE', '/v5/history?' . self::form($fields), null);
    }

    /**
     * Whether the server signed this body, which is as it came, unparsed.
     *
     * @param string|null $signature the header `X-NexTalk-Signature`: `$_SERVER['HTTP_X_NEXTALK_SIGNATURE'] ?? null`
     */
    public function verifyWebhook(string $body, ?string $signature): bool
    {
        $genuine = false;
        foreach ($this->webhookKeys as $key) {
            $wanted = 'sha256=' . hash_hmac('sha256', $body, $key);
            foreach (explode(',', (string) $signature) as $given) {
                $genuine = hash_equals($wanted, trim($given)) || $genuine;
            }
        }
        return $genuine;
    }

    /**
     * The body of an event webhook; a 400 is thrown where it is none. Verify it first.
     *
     * @return array{domain: string, events: Event[]}
     */
    public static function parseEvents(string $body): array
    {
        $value = self::decoded($body);
        $events = $value['events'] ?? null;
        if (!is_string($value['domain'] ?? null) || !is_array($events) || !self::isList($events)) {
            throw new NexTalkException(400, 'bad request', 'the body has no domain or no events');
        }
        return ['domain' => $value['domain'], 'events' => array_map([self::class, 'event'], $events)];
    }

    /**
     * The body of a service's webhook: a message as clients receive it; a 400 is thrown where it is none. Verify it first.
     *
     * @return array<string, mixed>
     */
    public static function parseMessage(string $body): array
    {
        $value = self::decoded($body);
        foreach (['from', 'to', 'body'] as $name) {
            if (!is_string($value[$name] ?? null)) {
                throw new NexTalkException(400, 'bad request', 'the body is no message');
            }
        }
        return $value;
    }

    /** @return array<string, mixed> */
    private static function decoded(string $body): array
    {
        $value = json_decode($body, true);
        if (json_last_error() !== JSON_ERROR_NONE) {
            throw new NexTalkException(400, 'bad request', 'the body is no JSON');
        }
        if (!is_array($value) || ltrim($body)[0] !== '{') {
            throw new NexTalkException(400, 'bad request', 'the body is no object');
        }
        return $value;
    }

    /** @param mixed $raw */
    private static function event($raw): Event
    {
        if (!is_array($raw)) {
            throw new NexTalkException(400, 'bad request', 'an event is no object');
        }
        $event = new Event();
        if (in_array($raw['kind'] ?? null, self::KINDS, true)) {
            $event = self::filled($event, $raw);
        }
        $event->raw = $raw;
        return $event;
    }

    private static function isList(array $value): bool
    {
        return $value === [] || array_keys($value) === range(0, count($value) - 1);
    }

    /**
     * Sets those public properties of an object that the fields have with the same type.
     *
     * @template T of object
     * @param T $object
     * @return T
     */
    private static function filled(object $object, array $fields): object
    {
        foreach ((new \ReflectionClass($object))->getProperties() as $property) {
            $type = $property->getType();
            $value = $fields[$property->getName()] ?? null;
            $given = ['integer' => 'int', 'double' => 'float', 'boolean' => 'bool'][gettype($value)] ?? gettype($value);
            if ($type instanceof \ReflectionNamedType && $type->getName() === $given) {
                $property->setValue($object, $value);
            }
        }
        return $object;
    }

    private static function sent(array $answer, string $id): Sent
    {
        return self::filled(new Sent(), $answer + ['id' => $id]);
    }

    /**
     * @param mixed $result
     * @return Sent|NexTalkException
     */
    private static function result($result, string $id): object
    {
        if (!is_array($result)) {
            throw self::unexpected();
        }
        if (($result['status'] ?? null) === 'ok') {
            return self::sent($result, $id);
        }
        $message = is_string($result['message'] ?? null) ? $result['message'] : 'unexpected answer';
        $detail = is_string($result['detail'] ?? null) ? $result['detail'] : null;
        return new NexTalkException(self::STATUS_OF[$message] ?? 0, $message, $detail);
    }

    private static function unexpected(): NexTalkException
    {
        return new NexTalkException(200, 'unexpected answer');
    }

    private static function listed(array $answer, string $name): array
    {
        if (!is_array($answer[$name] ?? null)) {
            throw self::unexpected();
        }
        return $answer[$name];
    }

    private static function message(array $message): array
    {
        $message = array_filter($message, static fn ($value): bool => $value !== null);
        if (isset($message['to'])) {
            $message['to'] = self::joined($message['to']);
        }
        $id = (string) ($message['id'] ?? bin2hex(random_bytes(16)));
        $receipt = (bool) ($message['receipt'] ?? false);
        unset($message['id'], $message['receipt']);
        return $message + ($id === '' ? [] : ['id' => $id]) + ($receipt ? ['receipt' => '1'] : []);
    }

    private static function who(array $who): array
    {
        if (isset($who['ticket']) === isset($who['name'])) {
            throw new \InvalidArgumentException("either 'ticket' or 'name' is needed");
        }
        return $who;
    }

    /**
     * One id or several as the server takes them. A comma would make two ids of one.
     *
     * @param string|int|array<string|int> $ids
     */
    private static function joined($ids): string
    {
        foreach ((array) $ids as $id) {
            if (strpos((string) $id, ',') !== false) {
                throw new \InvalidArgumentException("an id holds no comma: $id");
            }
        }
        return implode(',', (array) $ids);
    }

    /** @param string|int $room */
    private static function room($room, string $call): string
    {
        // `.` and `..` would be steps of the path.
        $id = in_array((string) $room, ['.', '..'], true) ? "gid:$room" : (string) $room;
        return '/v5/rooms/' . rawurlencode($id) . "/$call";
    }

    /** Asks in parts whose encoded ids are no longer than a query may be. */
    private function someOf(array $ids, array $more): array
    {
        $found = [];
        $part = [];
        $length = 0;
        foreach (array_merge(array_values($ids), [null]) as $id) {
            $size = $id === null ? self::LONGEST_IDS : strlen(rawurlencode((string) $id)) + 3;
            if ($part !== [] && $length + $size > self::LONGEST_IDS) {
                $found += $this->get('/v5/presences', ['ids' => self::joined($part)] + $more);
                $part = [];
                $length = 0;
            }
            $part[] = $id;
            $length += $size;
        }
        return $found;
    }

    private function get(string $path, array $fields): array
    {
        return $this->perform('GET', "$path?" . self::form(['domain' => $this->domain] + $fields), null);
    }

    private function post(string $path, array $fields, bool $repeatable = true, bool $ends = false): array
    {
        return $this->perform('POST', $path, ['domain' => $this->domain] + $fields, $repeatable, $ends);
    }

    /** What is null or false is left out, what is true is 1. */
    private static function form(array $fields): string
    {
        $fields = array_filter($fields, static fn ($value): bool => $value !== null && $value !== false);
        return http_build_query(array_map('strval', $fields), '', '&');
    }

    /** @param mixed $value */
    private static function encode($value): string
    {
        $text = json_encode($value, self::JSON);
        if ($text === false) {
            throw new \InvalidArgumentException('no JSON can be made of this: ' . json_last_error_msg());
        }
        return $text;
    }

    private static function base64url(string $bytes): string
    {
        return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
    }

    /**
     * One call: an attempt, and more of them where that helps and does no harm.
     *
     * @param array|string|null $body fields of a form, or JSON
     * @param bool $repeatable whether a repeat after an attempt of which nobody knows the end changes nothing
     * @param bool $ends that the ticket is gone is success, where an earlier attempt may have ended it
     */
    private function perform(string $method, string $path, $body, bool $repeatable = true, bool $ends = false): array
    {
        $uncertain = false;
        for ($repeats = 0; ; $repeats++) {
            [$answer, $error, $unsent] = $this->attempt($method, $path, $body, $repeatable);
            if ($error === null) {
                return $answer;
            }
            $status = $error->getStatus();
            if ($uncertain && $ends && $status === 404) {
                return [];
            }
            $uncertain = $uncertain || $status === 0 || $status >= 500;
            // The server did nothing: it refused, or was never reached.
            $nothing = $unsent || $status === 429 || $status === 503;
            $again = $nothing || ($repeatable && ($status === 0 || $status === 408 || $status >= 500));
            $asked = $error->getRetryAfter() ?? 0;
            if ($repeats >= $this->retries || $asked > $this->timeout || !$again) {
                throw $error;
            }
            $chance = 0.5 + ($this->clock['random'])();
            ($this->clock['sleep'])($asked + self::FIRST_PAUSE_S * 2 ** $repeats * $chance);
        }
    }

    /**
     * @param array|string|null $body
     * @return array{0: array, 1: ?NexTalkException, 2: bool} the answer or an error, and whether nothing was sent
     */
    private function attempt(string $method, string $path, $body, bool $repeatable): array
    {
        $retryAfter = null;
        $authorization = 'Authorization: Basic ' . base64_encode("$this->domain:$this->apiKey");
        // Without the empty Expect curl waits for a `100 Continue` before a long body.
        $headers = ['Accept: application/json', 'Expect:', $authorization];
        $options = [
            CURLOPT_URL => $this->server . $path,
            CURLOPT_CUSTOMREQUEST => $method,
            CURLOPT_USERAGENT => 'nextalk-site-php',
            CURLOPT_RETURNTRANSFER => true,
            CURLOPT_TIMEOUT_MS => max(1, (int) round($this->timeout * 1000)),
            CURLOPT_NOSIGNAL => true,
            // Not followed: a redirect would carry the API key to an address that nobody configured.
            CURLOPT_FOLLOWLOCATION => false,
            // On a connection that is found dead curl sends anew by itself.
            CURLOPT_FRESH_CONNECT => !$repeatable,
            CURLOPT_HEADERFUNCTION => static function ($_, string $line) use (&$retryAfter): int {
                if (stripos($line, 'retry-after:') === 0) {
                    $retryAfter = trim(substr($line, 12));
                }
                return strlen($line);
            },
        ];
        if ($body !== null) {
            $options[CURLOPT_POSTFIELDS] = is_array($body) ? self::form($body) : $body;
            $headers[] = 'Content-Type: application/' . (is_array($body) ? 'x-www-form-urlencoded' : 'json');
        }
        $options[CURLOPT_HTTPHEADER] = $headers;
        if ($this->curl === null) {
            $this->curl = curl_init();
        } else {
            curl_reset($this->curl);
        }
        curl_setopt_array($this->curl, $options);
        $text = curl_exec($this->curl);
        $number = curl_errno($this->curl);
        if ($number !== CURLE_OK || !is_string($text)) {
            $timedOut = $number === CURLE_OPERATION_TIMEDOUT;
            $message = $timedOut ? 'timeout' : 'connection failed';
            $error = new NexTalkException(0, $message, $timedOut ? null : curl_error($this->curl));
            $unsent = in_array($number, [CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT], true);
            return [[], $error, $unsent];
        }
        $status = (int) curl_getinfo($this->curl, CURLINFO_RESPONSE_CODE);
        return self::read($status, $text, $this->seconds($retryAfter));
    }

    /** @return array{0: array, 1: ?NexTalkException, 2: bool} */
    private static function read(int $status, string $text, ?int $retryAfter): array
    {
        $value = json_decode($text, true);
        $value = is_array($value) && ltrim($text)[0] === '{' ? $value : null;
        if ($status >= 200 && $status < 300 && $value !== null) {
            return [$value, null, false];
        }
        $message = $value['message'] ?? null;
        if (!is_string($message)) {
            return [[], new NexTalkException($status, 'unexpected answer', null, $retryAfter), false];
        }
        $detail = is_string($value['detail'] ?? null) ? $value['detail'] : null;
        return [[], new NexTalkException($status, $message, $detail, $retryAfter), false];
    }

    /** Seconds from Retry-After, which is a number or a date. */
    private function seconds(?string $header): ?int
    {
        if ($header === null || preg_match('/^\d{1,9}$/', $header) === 1) {
            return $header === null ? null : (int) $header;
        }
        $date = \DateTimeImmutable::createFromFormat('D, d M Y H:i:s \G\M\T', $header, new \DateTimeZone('UTC'));
        return $date === false ? null : max(0, $date->getTimestamp() - (int) ($this->clock['now'])());
    }
}
