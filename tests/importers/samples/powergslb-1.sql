-- MySQL dump 10.14  Distrib 5.5.68-MariaDB, for Linux (x86_64)
CREATE TABLE `domains` (`id` int(11) NOT NULL, `domain` varchar(255) NOT NULL, PRIMARY KEY (`id`)) ENGINE=InnoDB;
INSERT INTO `domains` (`id`, `domain`) VALUES (1,'example.com');
CREATE TABLE `types` (`value` int(11) NOT NULL, `type` varchar(16) NOT NULL, `description` varchar(255) NOT NULL);
INSERT INTO `types` VALUES (1,'A','a'),(6,'SOA','soa'),(2,'NS','ns');
CREATE TABLE `views` (`id` int(11) NOT NULL, `view` varchar(255) NOT NULL, `rule` varchar(255) NOT NULL);
INSERT INTO `views` VALUES (1,'Public','0.0.0.0/0 ::/0');
CREATE TABLE `monitors` (`id` int(11) NOT NULL, `monitor` varchar(255) NOT NULL, `monitor_json` varchar(255) NOT NULL);
INSERT INTO `monitors` VALUES (1,'No check','{\"type\": \"none\"}'),(2,'HTTP','{\"type\": \"http\", \"url\": \"http://%(content)s/status\", \"interval\": 3, \"timeout\": 1, \"fall\": 3, \"rise\": 5}');
CREATE TABLE `names` (`id` int(11) NOT NULL, `domain_id` int(11) NOT NULL, `name` varchar(255) NOT NULL);
INSERT INTO `names` VALUES (1,1,'example.com'),(2,1,'www.example.com'),(3,1,'sticky.example.com'),(4,1,'*.example.com');
CREATE TABLE `names_types` (`id` int(11) NOT NULL, `name_id` int(11) NOT NULL, `type_value` int(11) NOT NULL, `ttl` int(11) NOT NULL, `persistence` int(11) NOT NULL DEFAULT 0);
INSERT INTO `names_types` VALUES (1,1,6,86400,0),(2,1,2,3600,0),(3,2,1,300,0),(4,3,1,300,8),(5,4,1,300,0);
CREATE TABLE `contents` (`id` int(11) NOT NULL, `content` varchar(255) NOT NULL);
INSERT INTO `contents` VALUES (1,'ns1.example.com. hostmaster.example.com. 2016010101 21600 3600 1209600 300'),(2,'ns1.example.net'),(3,'192.0.2.1'),(4,'192.0.2.2'),(5,'192.0.2.9');
CREATE TABLE `contents_monitors` (`id` int(11) NOT NULL, `content_id` int(11) NOT NULL, `monitor_id` int(11) NOT NULL);
INSERT INTO `contents_monitors` VALUES (1,1,1),(2,2,1),(3,3,2),(4,4,2),(5,5,1);
CREATE TABLE `records` (`id` int(11) NOT NULL, `name_type_id` int(11) NOT NULL, `content_monitor_id` int(11) NOT NULL, `view_id` int(11) NOT NULL, `disabled` int(11) NOT NULL DEFAULT 0, `fallback` int(11) NOT NULL DEFAULT 0, `weight` int(11) NOT NULL DEFAULT 0);
INSERT INTO `records` VALUES (1,1,1,1,0,0,0),(2,2,2,1,0,0,0),(3,3,3,1,0,1,100),(4,3,4,1,0,1,0),(5,4,3,1,0,0,0),(6,4,4,1,0,0,0),(7,5,5,1,0,0,0);
-- Dump completed on 2016-01-20 19:11:03
