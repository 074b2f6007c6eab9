#!/bin/bash
#SBATCH -n 2
hostname
#SBATCH hetjob
#SBATCH -n 4
